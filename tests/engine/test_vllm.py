from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.engine import Generation, Sampling, TokenNumbers
from app.engine.vllm.client import EngineLimits, VllmEngine
from app.errors import EngineError, EngineProtocolError
from tests.engine.connected import (
    LONG,
    SAMPLING,
    SPEECH,
    against,
    numbers_of,
    opened,
    refusing,
)
from tests.engine.scripted import (
    GOOD,
    ScriptedEngine,
    Send,
    Sleep,
    Step,
    Wait,
    answer,
    completion,
    events,
    head,
    refusal,
)
from tests.fakes import UNREACHABLE
from tests.waiting import until


async def test_the_request() -> None:
    async with ScriptedEngine() as fake:
        engine = VllmEngine(fake.url, "tiny", SPEECH, api_key="key-1", stop_token_ids=(7,))
        await engine.start()
        await engine.generate(
            "Héllo.", Sampling(max_tokens=50, temperature=0.6, seed=3), lambda _: None
        )
        await engine.close()
    request = fake.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/completions")
    assert request.headers["authorization"] == "Bearer key-1"
    assert request.headers["accept-encoding"] == "identity"
    assert request.json == {
        "model": "tiny",
        "prompt": "Héllo.",
        "max_tokens": 50,
        "temperature": 0.6,
        "seed": 3,
        "stop_token_ids": [7],
        "stream": True,
        "stream_options": {"include_usage": True},
        "stream_interval": 8,
        "skip_special_tokens": False,
        "return_token_ids": True,
    }


async def test_a_request_for_text_alone() -> None:
    async with ScriptedEngine([completion(GOOD, ids=False)]) as fake:
        engine = VllmEngine(fake.url, "tiny", SPEECH, request_token_ids=False)
        await engine.start()
        assert await numbers_of(engine) == list(GOOD)
        await engine.close()
    assert "return_token_ids" not in fake.requests[0].json
    assert "authorization" not in fake.requests[0].headers


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/completions", "/v1/completions/"])
async def test_urls_as_people_write_them(end: str) -> None:
    async with ScriptedEngine() as fake, opened(fake.url + end) as engine:
        await numbers_of(engine)
        assert fake.requests[0].path == "/v1/completions"
        await engine.check()


@pytest.mark.fault(38)
async def test_proxy_variables_and_redirects_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing() as nowhere:
        monkeypatch.setenv("HTTP_PROXY", nowhere)
        monkeypatch.setenv("ALL_PROXY", nowhere)
        async with ScriptedEngine() as other:
            away = refusal(307, b"", f"location: {other.url}/v1/completions")
            async with against(away) as (engine, _):
                with pytest.raises(EngineError):
                    await numbers_of(engine)
        assert not other.requests


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("per_event", [1, 3, 10])
@pytest.mark.parametrize("finish", ["stop", "length"])
async def test_good_answers(ids: bool, per_event: int, finish: str) -> None:
    found: list[int] = []
    async with against(completion(LONG, ids=ids, per_event=per_event, finish=finish)) as (
        engine,
        _,
    ):
        generation = await engine.generate("Hello.", SAMPLING, found.extend)
    assert found == LONG
    assert generation == Generation("stop" if finish == "stop" else "length", 9, 41)


async def test_an_answer_without_a_speech_token_is_not_an_error_here() -> None:
    async with against(answer(events([]))) as (engine, _):
        assert await numbers_of(engine) == []


async def test_an_answer_without_usage_and_done() -> None:
    async with against(answer(events(GOOD)[:-2])) as (engine, _):
        assert await engine.generate("Hello.", SAMPLING, lambda _: None) == Generation("stop")


async def test_numbers_arrive_while_the_engine_still_speaks() -> None:
    gate = asyncio.Event()
    script = completion(GOOD)
    async with against([*script[:3], Wait(gate), *script[3:]]) as (engine, _):
        found: list[int] = []

        def on_tokens(numbers: TokenNumbers) -> None:
            found.extend(numbers)
            if len(found) == 2:
                gate.set()

        await engine.generate("Hello.", SAMPLING, on_tokens)
        assert found == list(GOOD)


async def test_a_connection_is_used_again() -> None:
    scripts = [completion(GOOD, keep_alive=True), completion(GOOD, keep_alive=True)]
    async with against(*scripts, limits=EngineLimits()) as (engine, fake):
        await numbers_of(engine)
        await numbers_of(engine)
        assert (fake.accepted, fake.open_connections) == (1, 1)
        assert await numbers_of(engine) == list(GOOD)


async def test_more_requests_at_once_than_any_default_pool() -> None:
    gate = asyncio.Event()
    script = completion(GOOD)
    async with against(*[[Wait(gate), *script]] * 130) as (engine, fake):
        running = [asyncio.create_task(numbers_of(engine)) for _ in range(130)]
        await until(lambda: len(fake.requests) >= 130)
        gate.set()
        assert await asyncio.gather(*running) == [list(GOOD)] * 130


@pytest.mark.parametrize(
    "script",
    [[Sleep()], [Send(head()), Sleep()], [*completion(LONG)[:5], Sleep()]],
    ids=["sent", "headers", "tokens"],
)
async def test_cancelling_closes_the_connection_at_once(script: Sequence[Step]) -> None:
    async with against(script) as (engine, fake):
        running = asyncio.create_task(numbers_of(engine))
        await until(lambda: fake.requests)
        await asyncio.sleep(0.02)
        assert fake.open_connections == 1
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await fake.until_closed(0.1)


@pytest.mark.parametrize(
    "error", [EngineProtocolError("mine"), TimeoutError("mine"), ValueError("mine")]
)
async def test_an_exception_of_the_receiver_passes_through(error: Exception) -> None:
    def on_tokens(numbers: TokenNumbers) -> None:
        raise error

    async with against([*completion(LONG)[:5], Sleep()]) as (engine, _):
        with pytest.raises(type(error)) as caught:
            await engine.generate("Hello.", SAMPLING, on_tokens)
        assert caught.value is error


@pytest.mark.parametrize("status", [200, 404])
async def test_check_passes(status: int) -> None:
    async with against() as (engine, fake):
        fake.health = status
        await engine.check()


@pytest.mark.parametrize("status", [401, 500, 503])
async def test_check_fails(status: int) -> None:
    async with against() as (engine, fake):
        fake.health = status
        with pytest.raises(EngineError):
            await engine.check()


async def test_start_comes_first() -> None:
    with pytest.raises(RuntimeError):
        await numbers_of(VllmEngine(UNREACHABLE, "tiny", SPEECH))
