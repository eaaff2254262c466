"""Several engines behind the service, killed and restarted under load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.api.test_engine_faults import CODES, limits
from tests.engine.connected import refusing
from tests.engine.scripted import ScriptedEngine, completion, refusal
from tests.fakes import ToneCodec
from tests.live_server import HELLO, SPEECH, Served, good_request, serving
from tests.waiting import until

pytestmark = pytest.mark.process

PACED = [completion(CODES, per_event=4, gap_s=0.01)] * 1_000  # 0.3 s each


@dataclass(frozen=True, slots=True)
class Outcome:
    """Answer to a client: `status` and `code`, and its bytes; `whole` if it ended cleanly."""

    asked_s: float
    status: int
    code: str | None
    body: bytes
    whole: bool


async def ask(served: Served) -> Outcome:
    asked_s, received = time.monotonic(), bytearray()
    async with served.client.stream("POST", SPEECH, json=HELLO) as answer:
        try:
            async for data in answer.aiter_raw():
                received += data
        except httpx.RemoteProtocolError:
            return Outcome(asked_s, answer.status_code, None, bytes(received), whole=False)
    if answer.status_code != 200:
        code = httpx.Response(answer.status_code, content=bytes(received)).json()["error"]["code"]
        return Outcome(asked_s, answer.status_code, code, bytes(received), whole=False)
    return Outcome(asked_s, 200, None, bytes(received), whole=True)


class Load:
    """A new request every 20 ms, without waiting for the answers."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._running: list[asyncio.Task[Outcome]] = []
        self._source = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while True:
            self._running.append(asyncio.create_task(ask(self._served)))
            await asyncio.sleep(0.02)

    async def end(self) -> list[Outcome]:
        """Stop, and return the outcomes of all requests."""
        self._source.cancel()
        return await asyncio.gather(*self._running)


@asynccontextmanager
async def served_by(*engines: ScriptedEngine) -> AsyncGenerator[Served]:
    settings = limits(",".join(engine.url for engine in engines), max_concurrent_requests=500)
    async with serving(None, ToneCodec(), settings) as served:
        yield served


async def until_asked_again(engine: ScriptedEngine) -> None:
    before = len(engine.requests)
    await until(lambda: len(engine.requests) >= before + 5, 20)


@pytest.mark.fault(43)
async def test_one_of_two_engines_is_killed_under_load_and_comes_back() -> None:
    async with (
        ScriptedEngine(PACED, good=CODES) as one,
        ScriptedEngine(PACED, good=CODES) as two,
        served_by(one, two) as served,
    ):
        good = await good_request(served)
        load = Load(served)
        await asyncio.sleep(0.8)
        assert len(one.requests) > 5
        assert len(two.requests) > 5
        at_risk, killed_s = one.open_connections, time.monotonic()
        await one.kill()
        await asyncio.sleep(0.5)
        assert (await served.client.get("/ready")).status_code == 200
        assert await served.metric(f'tts_engine_up{{engine="{one.name}"}}') == 0
        assert await served.metric(f'tts_engine_up{{engine="{two.name}"}}') == 1
        await one.revive()
        await until_asked_again(one)
        outcomes = await load.end()
        broken = [outcome for outcome in outcomes if not outcome.whole]
        assert 1 <= len(broken) <= at_risk
        assert {(outcome.status, outcome.code) for outcome in broken} <= {
            (200, None),
            (502, "engine_truncated"),
        }
        assert any(outcome.status == 200 and good.startswith(outcome.body) for outcome in broken)
        assert max(outcome.asked_s for outcome in broken) < killed_s
        assert {outcome.body for outcome in outcomes if outcome.whole} == {good}
        await served.settle()
        assert await good_request(served) == good


@pytest.mark.fault(43)
async def test_the_only_engine_restarts_under_load() -> None:
    async with ScriptedEngine(PACED, good=CODES) as engine, served_by(engine) as served:
        good = await good_request(served)
        load = Load(served)
        await asyncio.sleep(0.5)
        await engine.kill()
        await asyncio.sleep(0.5)
        assert (await served.client.get("/ready")).status_code == 503
        assert (await served.client.get("/health")).status_code == 200
        await engine.revive()
        revived_s = time.monotonic()
        await until_asked_again(engine)
        outcomes = await load.end()
        refused = {outcome.code for outcome in outcomes if outcome.status != 200}
        assert "engine_unreachable" in refused
        assert refused <= {"engine_unreachable", "engine_truncated"}
        assert {outcome.body for outcome in outcomes if outcome.asked_s > revived_s} == {good}
        assert (await served.client.get("/ready")).status_code == 200


@pytest.mark.fault(1, 43)
async def test_ready_while_any_engine_serves() -> None:
    with refusing() as nowhere:
        async with (
            ScriptedEngine(good=CODES) as engine,
            serving(None, ToneCodec(), limits(f"{nowhere},{engine.url}")) as served,
        ):
            for _ in range(6):
                assert (await served.client.get("/ready")).status_code == 200
                await good_request(served)
            assert len(engine.requests) == 6


@pytest.mark.fault(3, 4)
@pytest.mark.parametrize("status", [500, 401])
async def test_exactly_one_request_for_each_engine(status: int) -> None:
    refused = refusal(status, b'{"error": "SECRET"}')
    async with (
        ScriptedEngine([refused], good=CODES) as one,
        ScriptedEngine([refused], good=CODES) as two,
        served_by(one, two) as served,
    ):
        answer = await served.client.post(SPEECH, json=HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_failed")
        assert "SECRET" not in answer.text
        assert (len(one.requests), len(two.requests)) == (1, 1)
        await good_request(served)


@pytest.mark.fault(5)
async def test_engines_that_are_all_full_are_503_with_a_retry_after() -> None:
    full = refusal(503, b"{}", "retry-after: 9")
    async with (
        ScriptedEngine([full], good=CODES) as one,
        ScriptedEngine([full], good=CODES) as two,
        served_by(one, two) as served,
    ):
        answer = await served.client.post(SPEECH, json=HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_overloaded")
        assert answer.headers["retry-after"] == "9"
        assert (await served.client.get("/ready")).status_code == 200
        await good_request(served)
