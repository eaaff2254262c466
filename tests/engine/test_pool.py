"""Several engines behind one interface."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from app.engine import Generation, OnTokens, Sampling, TokenNumbers
from app.engine.embedded.phoneme_engine import PhonemeEngine
from app.engine.embedded.silence_trim import LEAD_FRAMES
from app.engine.pool.health import HealthPolicy
from app.engine.pool.pool import Pool
from app.engine.pool.pooled_engine import EngineRequest, PooledEngine
from app.engine.vllm.client import EngineLimits, VllmEngine
from app.errors import (
    EngineError,
    EngineOverloaded,
    EngineProtocolError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    InputTooLong,
    ServiceError,
)
from tests.engine.connected import LONG, SAMPLING, SPEECH, refusing, unaccepting
from tests.engine.scripted import (
    GOOD,
    Close,
    Reset,
    ScriptedEngine,
    Send,
    Sleep,
    Step,
    Wait,
    answer,
    choice,
    completion,
    event,
    events,
    head,
    refusal,
)
from tests.metric_values import counted
from tests.waiting import until

QUICK = HealthPolicy(idle_s=0.05, probe_delay_s=0.01, backoff_s=0.02, max_backoff_s=0.1)
UNWATCHED = HealthPolicy(
    idle_s=3600, probe_delay_s=3600, backoff_s=3600, max_backoff_s=3600
)  # but for the first probe
LIMITS = EngineLimits(connect_s=0.5, first_token_s=1.0, token_gap_s=1.0)
ELSEWHERE = list(range(500, 520))


@asynccontextmanager
async def pool_of(
    *urls: str,
    policy: HealthPolicy = UNWATCHED,
    limits: EngineLimits = LIMITS,
    keys: Sequence[str] = (),
) -> AsyncGenerator[Pool]:
    """A pool over URLs, watched; at the end nothing of it is left."""
    before = asyncio.all_tasks()
    each = keys or [""] * len(urls)
    engines = [
        (url.removeprefix("http://"), VllmEngine(url, "tiny", SPEECH, api_key=key, limits=limits))
        for url, key in zip(urls, each, strict=True)
    ]
    pool = Pool(engines, policy, seed=1)
    await pool.start()
    try:
        await until(
            lambda: all(engine.health.due_s > 0 for engine in pool._engines)
        )  # asked for the first time
        yield pool
    finally:
        await pool.close()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before
        assert {counted("tts_engine_streams", engine=name) for name, _ in engines} == {0}


def failures(engine: ScriptedEngine, reason: str) -> float:
    return counted("tts_engine_failures_total", engine=engine.name, reason=reason)


def up(engine: ScriptedEngine) -> bool:
    return counted("tts_engine_up", engine=engine.name) == 1


async def heard(pool: Pool, sampling: Sampling = SAMPLING) -> list[int]:
    found: list[int] = []
    await pool.generate("Hello.", sampling, found.extend)
    return found


async def ask_until_asked(pool: Pool, engine: ScriptedEngine) -> list[list[int] | ServiceError]:
    """Return the outcomes of requests, one after another, until `engine` has received one."""
    found: list[list[int] | ServiceError] = []
    for _ in range(8):
        try:
            found.append(await heard(pool))
        except ServiceError as exc:
            found.append(exc)
    assert engine.requests
    return found


NO_TOKEN: dict[str, list[Step]] = {
    "reset": [Reset()],
    "FIN": [Close()],
    "500": refusal(500, b"{}"),
    "401": refusal(401, b"{}"),
    "404": refusal(404, b"{}"),
    "503": refusal(503, b"{}", "retry-after: 20"),
    "429": refusal(429, b"{}", "retry-after: 20"),
    "HTML": refusal(200, b"<html></html>", content_type="text/html"),
    "headers, then silence": [Send(head()), Sleep()],
    "silence": [Sleep()],
    "headers, then FIN": [Send(head()), Close()],
    "headers, then reset": [Send(head()), Reset()],
    "an error under 200": answer([event({"error": "x"})]),
    "DONE": answer([b"data: [DONE]\n\n"]),
    "given up": answer([event(choice("", finish="abort"))]),
}


@pytest.mark.fault(3, 5, 7, 10, 43)
@pytest.mark.parametrize("script", NO_TOKEN.values(), ids=NO_TOKEN.keys())
async def test_a_failure_before_the_first_token_is_another_engines_turn(
    script: Sequence[Step],
) -> None:
    async with (
        ScriptedEngine([script] * 8) as bad,
        ScriptedEngine() as good,
        pool_of(bad.url, good.url) as pool,
    ):
        assert await ask_until_asked(pool, bad) == [list(GOOD)] * 8
        assert len(bad.requests) == 1  # from then on it comes last
        assert len(good.requests) == 8


@pytest.mark.fault(1, 2, 43)
@pytest.mark.parametrize("nobody", [refusing, unaccepting])
async def test_an_engine_that_takes_no_connection_costs_no_request(nobody: object) -> None:
    assert callable(nobody)
    with nobody() as url:
        async with ScriptedEngine() as good, pool_of(url, good.url) as pool:
            assert await asyncio.gather(*(heard(pool) for _ in range(8))) == [list(GOOD)] * 8
            await pool.check()


@pytest.mark.fault(8, 10, 43)
@pytest.mark.parametrize(
    "end",
    [[Close()], [Reset()], [Sleep()], answer([event({"error": "x"})])[1:]],
    ids=["FIN", "reset", "silence", "an error under 200"],
)
async def test_after_the_first_token_no_other_engine_is_asked(end: list[Step]) -> None:
    async with (
        ScriptedEngine([[*completion(LONG)[:4], Sleep(0.02), *end]] * 8) as bad,
        ScriptedEngine() as good,
        pool_of(bad.url, good.url) as pool,
    ):
        found = await ask_until_asked(pool, bad)
        broken = [each for each in found if isinstance(each, ServiceError)]
        assert len(broken) == len(bad.requests) == 1
        assert isinstance(broken[0], EngineError)
        assert len(good.requests) == 7


@pytest.mark.fault(6, 56)
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"maximum context length", InputTooLong),
        (400, b"temperature", EngineRefused),
        (422, b"{}", EngineRefused),
    ],
)
async def test_a_request_that_all_engines_refuse_is_the_callers_fault_and_no_engine_is_doubted(
    status: int, body: bytes, kind: type[ServiceError]
) -> None:
    scripts = [refusal(status, body)] * 4
    async with (
        ScriptedEngine(scripts) as one,
        ScriptedEngine(scripts) as two,
        pool_of(one.url, two.url) as pool,
    ):
        for asked in (1, 2, 3, 4):
            with pytest.raises(kind):
                await heard(pool)
            assert (len(one.requests), len(two.requests)) == (asked, asked)
        assert all(engine.health.verified for engine in pool._engines)
        assert up(one)
        assert up(two)
        assert [await heard(pool) for _ in range(8)] == [list(GOOD)] * 8
        assert len(one.requests) > 4
        assert len(two.requests) > 4


@pytest.mark.fault(16, 56)
async def test_an_empty_answer_of_all_engines_is_no_engines_fault() -> None:
    scripts = [completion([])] * 4
    async with (
        ScriptedEngine(scripts) as one,
        ScriptedEngine(scripts) as two,
        pool_of(one.url, two.url) as pool,
    ):
        assert [await heard(pool) for _ in range(4)] == [[]] * 4
        assert all(engine.health.verified for engine in pool._engines)


@pytest.mark.fault(56)
async def test_a_refusal_is_believed_although_another_engine_is_full() -> None:
    full, refused = (
        [refusal(503, b"{}", "retry-after: 20")] * 3,
        [refusal(400, b"maximum context length")] * 3,
    )
    async with (
        ScriptedEngine(full) as one,
        ScriptedEngine(refused) as two,
        pool_of(one.url, two.url) as pool,
    ):
        for _ in range(3):
            with pytest.raises(InputTooLong):
                await heard(pool)


@pytest.mark.fault(56)
async def test_an_engine_that_refuses_everything_is_not_believed_while_the_other_is_full() -> None:
    async with (
        ScriptedEngine([refusal(400, b"{}")] * 100) as sick,
        ScriptedEngine() as good,
        pool_of(sick.url, good.url) as pool,
    ):
        async with asyncio.timeout(10):
            while up(sick):
                pool._engines[0].health.suspect = False  # as after a good probe
                assert await heard(pool) == list(GOOD)
        asked = len(sick.requests)
        good._scripts.append(refusal(503, b"{}"))
        with pytest.raises(EngineOverloaded):
            await heard(pool)
        assert len(sick.requests) == asked + 1


UNLIKE_OTHERS: dict[str, list[Step]] = {
    "400": refusal(400, b"{}"),
    "400 too long": refusal(400, b"maximum context length"),
    "413": refusal(413, b"{}"),
    "422": refusal(422, b"{}"),
    "stop at once": completion([]),
    "length at once": completion([], finish="length"),
}


@pytest.mark.fault(56)
@pytest.mark.parametrize("script", UNLIKE_OTHERS.values(), ids=UNLIKE_OTHERS.keys())
async def test_what_another_engine_does_not_answer_counts_against_an_engine_until_it_is_well(
    script: Sequence[Step],
) -> None:
    policy = HealthPolicy(idle_s=0.05, probe_delay_s=0.01, backoff_s=0.05, max_backoff_s=0.2)
    async with (
        ScriptedEngine([script] * 1_000) as sick,
        ScriptedEngine() as good,
        pool_of(sick.url, good.url, policy=policy) as pool,
    ):
        assert [await heard(pool) for _ in range(20)] == [list(GOOD)] * 20
        for _ in range(6):
            assert await asyncio.gather(*(heard(pool) for _ in range(8))) == [list(GOOD)] * 8
        await until(lambda: not up(sick))
        assert len(sick.requests) < 20
        sick._scripts.clear()

        async def ask() -> bool:
            await heard(pool)
            return up(sick)

        await until(ask)
        before = len(sick.requests)
        assert [await heard(pool) for _ in range(20)] == [list(GOOD)] * 20
        assert len(sick.requests) > before


@pytest.mark.fault(56)
async def test_the_second_attempt_at_an_answer_goes_to_another_engine() -> None:
    async with ScriptedEngine() as one, ScriptedEngine() as two, pool_of(one.url, two.url) as pool:
        for _ in range(6):
            first = await pool.generate("Hello.", SAMPLING, lambda _: None)
            asked = len(one.requests), len(two.requests)
            again = replace(SAMPLING, after=first.answer)
            second = await pool.generate("Hello.", again, lambda _: None)
            assert isinstance(first.answer, EngineRequest)
            assert isinstance(second.answer, EngineRequest)
            assert first.answer.engine is not second.answer.engine
            assert len(one.requests) + len(two.requests) == sum(asked) + 1


@pytest.mark.fault(56)
async def test_an_answer_that_is_rejected_is_no_good_one_and_one_that_is_blamed_is_a_failure() -> (
    None
):
    async with ScriptedEngine() as one, ScriptedEngine() as two, pool_of(one.url, two.url) as pool:
        for _ in range(2):
            answer = (await pool.generate("Hello.", SAMPLING, lambda _: None)).answer
            while not (isinstance(answer, EngineRequest) and answer.engine.name == one.name):
                answer = (await pool.generate("Hello.", SAMPLING, lambda _: None)).answer
            answer.reject()
            answer.blame()
            answer.blame()  # once is enough
            pool._engines[0].health.suspect = False  # as after a good probe
        assert pool._engines[0].health.ejected
        assert not pool._engines[1].health.ejected
        assert failures(one, "engine_no_audio") == 2


async def test_one_engine_alone_has_no_answer_to_compare_with() -> None:
    async with ScriptedEngine([completion([])]) as fake, pool_of(fake.url) as pool:
        assert (await pool.generate("Hello.", SAMPLING, lambda _: None)).answer is None
        assert (await pool.generate("Hello.", SAMPLING, lambda _: None)).answer is None
        assert len(fake.requests) == 2


@pytest.mark.fault(3)
async def test_every_engine_is_asked_exactly_once() -> None:
    async with AsyncExitStack() as stack:
        fakes = [
            await stack.enter_async_context(ScriptedEngine([refusal(500, b"SECRET")]))
            for _ in range(3)
        ]
        pool = await stack.enter_async_context(pool_of(*(fake.url for fake in fakes)))
        with pytest.raises(EngineError) as caught:
            await heard(pool)
        assert type(caught.value) is EngineError
        assert "SECRET" not in str(caught.value)
        assert [len(fake.requests) for fake in fakes] == [1, 1, 1]
        assert await heard(pool) == list(GOOD)  # all are doubted, and one of them serves


@pytest.mark.fault(5)
async def test_where_none_can_the_one_that_asks_for_time_is_believed() -> None:
    full = refusal(503, b"{}", "retry-after: 7")
    with refusing() as url:
        async with (
            ScriptedEngine([full]) as one,
            ScriptedEngine([refusal(500, b"{}")]) as two,
            pool_of(url, one.url, two.url) as pool,
        ):
            with pytest.raises(EngineOverloaded) as caught:
                await heard(pool)
            assert caught.value.retry_after_s == 7
            assert up(one)
            assert failures(one, "engine_overloaded") == 1


@pytest.mark.fault(1)
async def test_one_engine_alone_is_asked_each_time() -> None:
    with refusing() as url:
        async with pool_of(url, policy=QUICK) as pool:
            for _ in range(4):
                with pytest.raises(EngineUnreachable):
                    await heard(pool)
            with pytest.raises(EngineUnreachable):
                await pool.check()


async def test_the_least_loaded_engine_is_chosen() -> None:
    gate = asyncio.Event()
    held = [[Send(head()), Wait(gate), *completion(GOOD)[1:]]] * 30
    async with AsyncExitStack() as stack:
        fakes = [await stack.enter_async_context(ScriptedEngine(held)) for _ in range(3)]
        pool = await stack.enter_async_context(
            pool_of(*(fake.url for fake in fakes), limits=EngineLimits())
        )
        running = [asyncio.create_task(heard(pool)) for _ in range(9)]
        await until(lambda: sum(len(fake.requests) for fake in fakes) == 9)
        assert [len(fake.requests) for fake in fakes] == [3, 3, 3]
        assert [counted("tts_engine_streams", engine=fake.name) for fake in fakes] == [3, 3, 3]
        for task in running[:4]:
            task.cancel()
        await asyncio.gather(*running[:4], return_exceptions=True)
        running += [asyncio.create_task(heard(pool)) for _ in range(4)]
        await until(lambda: sum(len(fake.requests) for fake in fakes) == 13)
        assert [counted("tts_engine_streams", engine=fake.name) for fake in fakes] == [3, 3, 3]
        gate.set()
        await asyncio.gather(*running[4:])


async def test_chance_decides_between_equals() -> None:
    async with ScriptedEngine() as one, ScriptedEngine() as two, pool_of(one.url, two.url) as pool:
        for _ in range(40):
            await heard(pool)
        assert 10 < len(one.requests) < 30


async def test_cancelling_closes_the_connection_and_blames_nobody() -> None:
    async with ScriptedEngine([[Send(head()), Sleep()]]) as fake, pool_of(fake.url) as pool:
        asking = asyncio.create_task(heard(pool))
        await until(lambda: fake.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await fake.until_closed()
        assert await heard(pool) == list(GOOD)
        await pool.check()


@pytest.mark.parametrize(
    "error", [EngineProtocolError("mine"), TimeoutError("mine"), ValueError("mine")]
)
async def test_an_exception_of_the_receiver_passes_through_and_blames_nobody(
    error: Exception,
) -> None:
    def on_tokens(numbers: TokenNumbers) -> None:
        raise error

    async with ScriptedEngine() as one, ScriptedEngine() as two, pool_of(one.url, two.url) as pool:
        for asked in (1, 2, 3, 4):
            with pytest.raises(type(error)) as caught:
                await pool.generate("Hello.", SAMPLING, on_tokens)
            assert caught.value is error
            assert len(one.requests) + len(two.requests) == asked
        assert up(one)
        assert (
            failures(one, EngineProtocolError.code) + failures(two, EngineProtocolError.code) == 0
        )


@pytest.mark.fault(43)
async def test_one_blip_puts_no_engine_out() -> None:
    blips = [refusal(500, b"{}")]
    async with (
        ScriptedEngine(blips) as one,
        ScriptedEngine(blips) as two,
        pool_of(one.url, two.url, policy=QUICK) as pool,
    ):
        with pytest.raises(EngineError):
            await heard(pool)
        assert up(one)
        assert up(two)
        await pool.check()
        assert await heard(pool) == list(GOOD)


@pytest.mark.fault(43)
async def test_a_killed_engine_is_out_of_use_until_it_is_back() -> None:
    async with (
        ScriptedEngine() as one,
        ScriptedEngine() as two,
        pool_of(one.url, two.url, policy=QUICK) as pool,
    ):
        await one.kill()
        await until(lambda: not up(one))
        assert failures(one, "probe") >= 2
        await pool.check()
        assert [await heard(pool) for _ in range(8)] == [list(GOOD)] * 8
        assert (len(one.requests), len(two.requests)) == (0, 8)
        await one.revive()
        await until(lambda: up(one))
        for _ in range(12):
            await heard(pool)
        assert one.requests


@pytest.mark.fault(43)
async def test_the_only_engine_restarts() -> None:
    async with ScriptedEngine() as fake, pool_of(fake.url, policy=QUICK) as pool:
        assert await heard(pool) == list(GOOD)
        await fake.kill()
        await until(lambda: not up(fake))
        with pytest.raises(EngineUnreachable):
            await pool.check()
        with pytest.raises(EngineUnreachable):
            await heard(pool)
        await fake.revive()
        assert await heard(pool) == list(GOOD)  # at once: nobody else could have served it
        await until(lambda: up(fake))
        await pool.check()


async def test_an_engine_that_is_well_is_asked_how_it_is_only_where_no_request_tells() -> None:
    async with (
        ScriptedEngine([completion(range(300), gap_s=0.005)]) as fake,
        pool_of(fake.url, policy=QUICK) as pool,
    ):
        await until(lambda: fake.probes >= 3)
        probes = fake.probes
        await heard(pool)
        assert fake.probes <= probes + 1  # 1.5 s without a question
        await until(lambda: fake.probes >= probes + 3)


async def test_ready_is_not_one_more_question_where_the_answer_is_known() -> None:
    async with ScriptedEngine() as one, ScriptedEngine() as two, pool_of(one.url, two.url) as pool:
        for _ in range(5):
            await pool.check()
        assert (one.probes, two.probes) == (1, 1)


@pytest.mark.fault(7)
async def test_a_frozen_engine_keeps_no_request_waiting_longer_than_its_probes() -> None:
    limits = EngineLimits(first_token_s=30, token_gap_s=1.0, check_s=0.2)
    frozen = [[*completion(LONG)[:4], Sleep()], *[[Send(head()), Sleep()]] * 20]
    async with (
        ScriptedEngine(frozen) as bad,
        ScriptedEngine() as good,
        pool_of(bad.url, good.url, policy=QUICK, limits=limits) as pool,
    ):
        bad.frozen = True
        running = [asyncio.create_task(heard(pool)) for _ in range(10)]
        async with asyncio.timeout(5):
            found = await asyncio.gather(*running, return_exceptions=True)
        assert not up(bad)
        assert [type(each) for each in found if each != list(GOOD)] == [
            EngineTimeout
        ]  # the stream that had begun
        assert len(good.requests) == 9
        assert [await heard(pool) for _ in range(4)] == [list(GOOD)] * 4


@pytest.mark.process
@pytest.mark.fault(7)
async def test_an_engine_whose_health_lies_gets_a_request_at_a_time() -> None:
    policy = HealthPolicy(idle_s=0.05, probe_delay_s=0.01, backoff_s=0.02, max_backoff_s=10)
    async with (
        ScriptedEngine([[Send(head()), Sleep()]] * 100) as bad,
        ScriptedEngine() as good,
        pool_of(bad.url, good.url, policy=policy) as pool,
    ):
        assert await asyncio.gather(*(heard(pool) for _ in range(10))) == [list(GOOD)] * 10
        first = len(bad.requests)
        assert first >= 2
        for _ in range(5):
            assert await asyncio.gather(*(heard(pool) for _ in range(10))) == [list(GOOD)] * 10
        assert len(bad.requests) <= first + 5
        assert failures(bad, EngineTimeout.code) == len(bad.requests)


@pytest.mark.process
async def test_an_engine_that_is_slow_with_one_and_serves_others_keeps_its_standing() -> None:
    long = completion(range(100), gap_s=0.02)
    async with (
        ScriptedEngine([long, [Send(head()), Sleep()], [Send(head()), Sleep()]]) as fake,
        pool_of(fake.url) as pool,
    ):
        running = asyncio.create_task(heard(pool))
        await until(lambda: fake.requests)
        stalled = await asyncio.gather(heard(pool), heard(pool), return_exceptions=True)
        assert [type(each) for each in stalled] == [EngineTimeout, EngineTimeout]
        assert up(fake)
        assert failures(fake, EngineTimeout.code) == 2
        assert await running == list(range(100))


async def test_an_engine_that_is_set_up_wrongly_is_told_once_and_stays_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        ScriptedEngine([refusal(404, b"{}")] * 6) as engine,
        pool_of(engine.url, policy=QUICK) as pool,
    ):
        for _ in range(6):
            with pytest.raises(EngineError):
                await heard(pool)
            asked = engine.probes
            await until(lambda asked=asked: engine.probes > asked)  # and is told that all is well
        assert not up(engine)
        assert len([record for record in caplog.records if "healthy" in record.getMessage()]) == 1
        assert await heard(pool) == list(GOOD)
        assert up(engine)
    assert [record.getMessage() for record in caplog.records][
        -1
    ] == f"engine {engine.name} is healthy again"


async def test_each_engine_gets_its_own_key_and_no_log_tells_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = refusal(401, b"{}")
    with caplog.at_level(logging.DEBUG):
        async with (
            ScriptedEngine([refused] * 9) as one,
            ScriptedEngine([refused] * 9) as two,
            pool_of(one.url, two.url, keys=["key-1", "key-2"]) as pool,
        ):
            for _ in range(3):
                with pytest.raises(EngineError):
                    await heard(pool)
    assert {request.headers["authorization"] for request in one.requests} == {"Bearer key-1"}
    assert {request.headers["authorization"] for request in two.requests} == {"Bearer key-2"}
    assert one.name in caplog.text
    assert "key-1" not in caplog.text
    assert "key-2" not in caplog.text


async def test_engines_that_stream_each_in_its_own_way() -> None:
    ways = [
        completion(LONG),
        completion(LONG, ids=False),
        completion(LONG, per_event=10),
        completion(LONG, ids=False, per_event=7),
        answer([b"".join(events(LONG))]),
    ]
    async with AsyncExitStack() as stack:
        fakes = [await stack.enter_async_context(ScriptedEngine([way] * 5)) for way in ways]
        pool = await stack.enter_async_context(pool_of(*(fake.url for fake in fakes)))
        found = await asyncio.gather(*(heard(pool) for _ in range(10)))
        assert found == [LONG] * 10
        assert [len(fake.requests) for fake in fakes] == [2] * 5


@pytest.mark.fault(43)
async def test_a_piece_of_phonemes_goes_to_another_engine_although_the_one_before_was_heard() -> (
    None
):
    prompt = "<|im_start|>lark: Hello there. All is well. Good night.<|speech_start|>"
    reset: list[Sequence[Step]] = [[Reset()]] * 3
    async with ScriptedEngine(reset, good=LONG) as one, ScriptedEngine(good=LONG) as two:
        limits, policy = EngineLimits(), HealthPolicy(max_failures=100)
        engines = [
            (fake.name, VllmEngine(fake.url, "tiny", SPEECH, limits=limits)) for fake in (one, two)
        ]
        reader = PhonemeEngine(
            Pool(engines, policy, seed=1),
            "{voice}: {phonemes}",
            "<|im_start|>{voice}: {text}<|speech_start|>",
        )
        await reader.start()
        found: list[int] = []
        generation = await reader.generate(prompt, Sampling(max_tokens=1000), found.extend)
        await reader.close()
    assert generation.finish_reason == "stop"
    assert len(two.requests) + len(one.requests) > 3
    assert len(found) == 3 * len(LONG[LEAD_FRAMES:])


@dataclass
class Broken:
    """An engine whose question after its health ends in a bug."""

    closed: bool = False
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Be closed."""
        self.closed = True

    async def check(self) -> None:
        """Fail as no engine should."""
        self.asked.set()
        raise ZeroDivisionError

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """One token."""
        on_tokens([1])
        return Generation("stop")


class Late(Broken):
    """An engine whose first token comes at the moment at which it is given up."""

    call: EngineRequest

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """One token, just in time."""
        self.call.stop_waiting()
        on_tokens([1])
        await asyncio.sleep(0.01)
        return Generation("stop")


async def test_a_first_token_at_the_last_moment_counts() -> None:
    engine = Late()
    late, other = (PooledEngine(name, engine, UNWATCHED, Random(1)) for name in ("late", "other"))
    engine.call = EngineRequest(late, [other], lambda _: None)
    assert await engine.call.run("Hello.", SAMPLING) == Generation("stop")


async def test_a_watch_that_fails_is_told_and_requests_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = Broken()
    pool = Pool([("broken", engine)])
    await pool.start()
    await engine.asked.wait()
    assert await heard(pool) == [1]
    await pool.close()
    assert engine.closed
    assert "probes the engines" in caplog.text


def hang(names: str, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let lookups of a name hang until the event is set."""
    found, really = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *args: object, **fields: object) -> object:
        if host == names:
            assert found.wait(20)
            raise socket.gaierror("no such name")
        return really(host, *args, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return found


@pytest.mark.fault(58)
async def test_a_name_that_resolves_slowly_holds_no_other_engine_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = hang("slow.test", monkeypatch)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    limits = EngineLimits(connect_s=0.3, first_token_s=5, check_s=0.3)
    async with ScriptedEngine() as good:
        port = good.url.rpartition(":")[2]
        urls = f"http://slow.test:{port}", f"http://localhost:{port}"
        try:
            pool = Pool(
                [(url, VllmEngine(url, "tiny", SPEECH, limits=limits)) for url in urls],
                UNWATCHED,
                seed=1,
            )
            await pool.start()
            await pool.check()
            assert await asyncio.gather(*(heard(pool) for _ in range(16))) == [list(GOOD)] * 16
            assert await asyncio.to_thread(lambda: "free") == "free"
            await pool.close()
        finally:
            found.set()


@pytest.mark.fault(2, 58)
async def test_the_connect_limit_covers_the_lookup_of_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = hang("slow.test", monkeypatch)
    limits = EngineLimits(connect_s=0.2, first_token_s=30, check_s=30)
    engine = VllmEngine("http://slow.test:1", "tiny", SPEECH, limits=limits)
    await engine.start()
    try:
        async with asyncio.timeout(5):
            for attempt in (engine.check(), engine.generate("Hello.", SAMPLING, lambda _: None)):
                with pytest.raises(EngineTimeout):
                    await attempt
        found.set()
        with pytest.raises(EngineUnreachable):
            async with asyncio.timeout(5):
                await engine.check()
    finally:
        found.set()
        await engine.close()


@pytest.mark.fault(58)
@pytest.mark.parametrize("health", [503, 200])
async def test_many_who_ask_at_once_are_one_question_to_each_engine(health: int) -> None:
    async with ScriptedEngine() as one, ScriptedEngine() as two, pool_of(one.url, two.url) as pool:
        for engine in (one, two):
            engine.probes, engine.health, engine.pause_s = 0, health, 0.2
        for engine in pool._engines:
            engine.health.on_probe_failed(0.0)
        asked = await asyncio.gather(*(pool.check() for _ in range(200)), return_exceptions=True)
        assert {type(answer) for answer in asked} == (
            {EngineError} if health == 503 else {type(None)}
        )
        assert (one.probes, two.probes) == (1, 1)


@pytest.mark.fault(58)
async def test_who_leaves_while_it_asks_leaves_the_question_to_the_others() -> None:
    async with ScriptedEngine() as fake, pool_of(fake.url) as pool:
        engine, fake.pause_s = pool._engines[0], 0.2
        first, *others = [asyncio.create_task(engine.probe()) for _ in range(5)]
        asked = fake.probes
        await until(lambda: fake.probes > asked)
        first.cancel()
        assert await asyncio.gather(*others) == [None] * 4
        assert fake.probes == asked + 2


@pytest.mark.fault(58)
async def test_one_engine_that_is_well_is_enough_while_another_does_not_answer() -> None:
    limits = EngineLimits(check_s=30)
    async with ScriptedEngine() as frozen, ScriptedEngine() as good:
        frozen.frozen = True
        engines = [
            (fake.name, VllmEngine(fake.url, "tiny", SPEECH, limits=limits))
            for fake in (frozen, good)
        ]
        pool = Pool(engines, UNWATCHED)
        for _, engine in engines:
            await engine.start()
        async with asyncio.timeout(5):
            await pool.check()
        await pool.close()
