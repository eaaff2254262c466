"""One of two engines fails in some way: the other one answers, and few requests are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest

from tests.api.test_engine_faults import CODES, DONE, FAILED, FEW, limits
from tests.engine.scripted import (
    Close,
    Reset,
    ScriptedEngine,
    Send,
    Sleep,
    Step,
    answer,
    choice,
    chunk,
    completion,
    event,
    events,
    head,
    refusal,
)
from tests.fakes import ToneCodec
from tests.live_server import HELLO, SPEECH, Served, serving

pytestmark = pytest.mark.process

MOST_LOST = 3  # of 16 or more
PROSE = {**HELLO, "input": "This is a sentence of ordinary length."}
SPOKEN = CODES[:80]  # less work than the whole, and enough for the text
BEGUN = events(CODES[:FEW], finish=None)
SICK: dict[str, list[Step]] = {
    "400": refusal(400, b"{}"),
    "400 too long": refusal(400, b"maximum context length"),
    "401": refusal(401, b"{}"),
    "404": refusal(404, b"{}"),
    "413": refusal(413, b"{}"),
    "422": refusal(422, b"{}"),
    "500": refusal(500, b"{}"),
    "HTML": refusal(200, b"<html></html>", content_type="text/html"),
    "an error event": answer([FAILED, DONE]),
    "stop at once": completion([]),
    "length at once": completion([], finish="length"),
    "one token": completion(CODES[:1]),
    "length after a few tokens": completion(CODES[:FEW], finish="length"),
    "out of range": answer([event(choice("<|s_65536|>")), *events([])]),
    "out of range later": answer([*BEGUN, event(choice("<|s_65536|>")), *events([])], gap_s=0.002),
    "malformed": answer([*BEGUN, event(choice("<|s_1.5|>"))], gap_s=0.002),
    "more than allowed": answer([*BEGUN, event(choice("<|s_1|>" * 1_000))], gap_s=0.002),
    "truncated": [*answer(BEGUN)[:-2], Send(chunk(b"")), Close()],
    "reset": [*answer(BEGUN)[:-2], Sleep(0.005), Reset()],
    "an error later": answer([*BEGUN, FAILED, DONE], gap_s=0.002),
    "given up": answer([*BEGUN, event(choice("", finish="abort"))], gap_s=0.002),
    "closed at once": [Send(head()), Close()],
}


async def lost(served: Served, count: int, at_once: int) -> list[tuple[int, bytes]]:
    """The answers that are no speech, of so many requests."""
    room = asyncio.Semaphore(at_once)

    async def ask() -> tuple[int, bytes]:
        async with room:
            try:
                got = await served.client.post(SPEECH, json=PROSE)
            except httpx.RemoteProtocolError:
                return 200, b""
            return got.status_code, got.content

    answers = await asyncio.gather(*(ask() for _ in range(count)))
    return [got for got in answers if got[0] != 200 or len(got[1]) < len(SPOKEN) * 960]


@pytest.mark.fault(56)
@pytest.mark.parametrize("script", SICK.values(), ids=SICK.keys())
@pytest.mark.parametrize(("at_once", "requests"), [(1, 16), (8, 48)])
async def test_of_two_engines_a_sick_one_does_not_attract_the_traffic(
    script: Sequence[Step], at_once: int, requests: int
) -> None:
    async with (
        ScriptedEngine([script] * 500, good=SPOKEN) as sick,
        ScriptedEngine(good=SPOKEN) as good,
        serving(None, ToneCodec(), limits(f"{sick.url},{good.url}")) as served,
    ):
        assert len(await lost(served, requests, at_once)) <= MOST_LOST
        assert len(sick.requests) <= 16
        assert len(good.requests) >= requests - MOST_LOST


@pytest.mark.fault(56)
async def test_a_caller_whose_text_every_engine_refuses_takes_no_engine_out_of_use() -> None:
    refused = [refusal(400, b"maximum context length")] * 20
    async with (
        ScriptedEngine(refused, good=SPOKEN) as one,
        ScriptedEngine(refused, good=SPOKEN) as two,
        serving(None, ToneCodec(), limits(f"{one.url},{two.url}")) as served,
    ):
        for _ in range(20):
            assert (await served.client.post(SPEECH, json=PROSE)).status_code == 400
        assert (len(one.requests), len(two.requests)) == (20, 20)
        for engine in (one, two):
            assert await served.metric(f'tts_engine_up{{engine="{engine.name}"}}') == 1
        assert await lost(served, 20, 1) == []
        assert min(len(one.requests), len(two.requests)) > 20


@pytest.mark.fault(56)
@pytest.mark.parametrize("at_once", [1, 8])
async def test_a_slow_engine_is_not_sick(at_once: int) -> None:
    slow = completion(SPOKEN, per_event=10, gap_s=0.02)
    async with (
        ScriptedEngine([slow] * 500, good=SPOKEN) as one,
        ScriptedEngine(good=SPOKEN) as two,
        serving(None, ToneCodec(), limits(f"{one.url},{two.url}")) as served,
    ):
        assert await lost(served, 24, at_once) == []
        assert one.requests
        assert await served.metric(f'tts_engine_up{{engine="{one.name}"}}') == 1


@pytest.mark.fault(56)
@pytest.mark.parametrize("kind", ["400", "stop at once", "out of range"])
async def test_with_one_engine_a_refusal_stays_what_it_is(kind: str) -> None:
    async with (
        ScriptedEngine([SICK[kind]] * 2, good=SPOKEN) as engine,
        serving(None, ToneCodec(), limits(engine.url)) as served,
    ):
        got = await served.client.post(SPEECH, json=PROSE)
        codes = {
            "400": "engine_failed",
            "stop at once": "engine_no_audio",
            "out of range": "engine_protocol",
        }
        assert (got.status_code, got.json()["error"]["code"]) == (502, codes[kind])
        assert len(engine.requests) == (2 if kind == "stop at once" else 1)
