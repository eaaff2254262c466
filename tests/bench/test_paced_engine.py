"""The paced engine on a socket, read by the service's client."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator

import aiohttp
import pytest

from app.config.profiles import TokenSyntax
from app.engine import Sampling
from app.engine.vllm.client import EngineLimits, VllmEngine
from bench.paced_engine import Answer, Connection, PacedEngine, Request
from bench.token_pace import Pace

SYNTAX = TokenSyntax(prefix="<|s_", suffix="|>", first_code_number=0, codes_per_frame=1)
FIRST_S = 0.02


@pytest.fixture
async def url() -> AsyncGenerator[str]:
    paced = PacedEngine(Pace(step_s=0.0005, first_s=FIRST_S), vocabulary=1000, window_tokens=12)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(paced), "127.0.0.1", 0
    )
    running = asyncio.create_task(paced.run())
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    running.cancel()
    server.close()
    await server.wait_closed()


async def read(url: str, prompt: str, tokens: int) -> list[list[int]]:
    engine = VllmEngine(url, "paced", SYNTAX, limits=EngineLimits(stream_interval=5))
    await engine.start()
    events: list[list[int]] = []
    generation = await engine.generate(
        prompt, Sampling(max_tokens=tokens), lambda numbers: events.append([*numbers])
    )
    await engine.close()
    assert generation.finish_reason == "length"
    return events


async def report(url: str) -> dict[str, float | dict[str, float]]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return json.loads(await answer.read())


async def test_streams_of_different_lengths_all_get_their_tokens(url: str) -> None:
    lengths = [1, 6, 40, 41, 42]
    answers = await asyncio.gather(*(read(url, f"number {length}", length) for length in lengths))
    for length, events in zip(lengths, answers, strict=True):
        assert [number for event in events for number in event] == [
            index * 7919 % 1000 for index in range(length)
        ]


async def test_it_says_when_it_sent_the_first_windows_and_how_many_steps_it_took(url: str) -> None:
    queued_s = time.monotonic()
    await read(url, "long", 40)
    await read(url, "short", 5)
    assert await report(f"{url}/v1/models") == {}  # a probe of the service
    said = await report(url)
    assert said["steps"] == 45
    assert 0 <= said["late_steps"] <= 45
    assert said["lost_s"] >= 0
    windows = said["first_windows"]
    assert list(windows) == ["long", "short"]
    assert queued_s + FIRST_S / 2 < windows["long"] < windows["short"] < time.monotonic()
    again = await report(url)
    assert (again["steps"], again["first_windows"]) == (0, {})


class ClosedTransport(asyncio.WriteTransport):
    """Transport that the client closes, and that then refuses writes as uvloop's does."""

    closed = False

    def write(self, data: bytes) -> None:
        if self.closed:
            raise RuntimeError("the handler is closed")

    def is_closing(self) -> bool:
        return self.closed


def test_a_stream_ends_when_its_client_leaves() -> None:
    transport = ClosedTransport()
    answer = Answer(transport, Request("prompt", 40), vocabulary=1000)
    assert answer.step()
    transport.closed = True
    assert not answer.step()


@pytest.mark.parametrize(
    ("per_character", "most", "tokens", "reason"),
    [
        (None, 40, 40, "length"),
        (2.5, 40, 25, "stop"),
        (2.5, 20, 20, "length"),
        (0.01, 40, 1, "stop"),
    ],
)
def test_an_answer_ends_by_itself_where_its_text_says_so(
    per_character: float | None, most: int, tokens: int, reason: str
) -> None:
    http = (
        b"POST /v1/completions HTTP/1.1\r\n\r\n"
        + json.dumps({"prompt": "0123456789", "max_tokens": most}).encode()
    )
    request = Request.of(http, per_character)
    assert (request.tokens, request.finish_reason) == (tokens, reason)
