"""The longest answers: rejected, aborted at the limit, or buffered once."""

from __future__ import annotations

import asyncio
import json
import tracemalloc

import httpx
import numpy as np
import orjson
import pytest
from starlette.types import Message
from websockets.asyncio.client import connect

from app.api.sinks import WholeSink
from app.audio.encoders import make_encoder
from app.config.types import Format
from app.synthesis.audio_output import AudioOutput
from app.synthesis.request import LoudnessTarget, OutputOptions
from app.synthesis.stats import SynthesisStats
from tests.fakes import FixedEngine
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests

CODES = range(150)  # 3 s
LIMIT_S = 2.0
DIGITS = "1234567890" * 409 + "123456"
PROSE = ("The quick brown fox jumps over the lazy dog, and then it sleeps in the sun. " * 60)[:4096]
MANDARIN = ("今天天气很好，我们一起去公园散步吧。" * 300)[:4096]
TAMIL = ("இன்று வானிலை மிகவும் நன்றாக இருக்கிறது. " * 120)[:4096]


async def error_of(served: Served, **fields: object) -> tuple[int, str]:
    answer = await served.client.post(SPEECH, json={**HELLO, **fields})
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.fault(53)
@pytest.mark.parametrize(
    "fields", [{"stream": False}, {"stream_format": "sse", "response_format": "flac"}, {}]
)
async def test_a_text_that_surely_takes_longer_is_refused_before_the_engine_is_asked(
    fields: dict[str, object],
) -> None:
    engine = FixedEngine(range(5))
    async with serving(engine) as served:
        asked = {"input": DIGITS, "speed": 0.25, "sample_rate": 48_000, **fields}
        answer = await served.client.post(SPEECH, json={**HELLO, **asked})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (
            400,
            "audio_too_long",
            "input",
        )
        assert "1800 s" in error["message"]
        assert engine.prompts == []
        await good_request(served)


@pytest.mark.fault(53)
async def test_a_whole_body_that_becomes_too_long_is_an_error_after_one_attempt() -> None:
    engine = FixedEngine(CODES)
    async with serving(engine, settings=settings_for_tests(max_audio_s=LIMIT_S)) as served:
        assert await error_of(served, stream=False) == (502, "audio_too_long")
        assert len(engine.prompts) == 1
        assert await good_answer_s(served, speed=2) == pytest.approx(1.5, abs=0.01)
        assert await error_of(served, stream=False, speed=0.5, response_format="mp3") == (
            502,
            "audio_too_long",
        )


async def good_answer_s(served: Served, **fields: object) -> float:
    answer = await served.client.post(SPEECH, json={**HELLO, **fields})
    assert answer.status_code == 200
    return len(answer.content) / 2 / 24_000


@pytest.mark.fault(53)
async def test_a_stream_that_becomes_too_long_is_broken_off_at_the_limit() -> None:
    engine, received = FixedEngine(CODES), bytearray()
    async with serving(engine, settings=settings_for_tests(max_audio_s=LIMIT_S)) as served:
        with pytest.raises(httpx.RemoteProtocolError):
            async with served.client.stream("POST", SPEECH, json=HELLO) as answer:
                assert answer.status_code == 200
                async for chunk in answer.aiter_raw():
                    received += chunk
        assert 0 < len(received) / 2 / 24_000 <= LIMIT_S


@pytest.mark.fault(53)
async def test_events_tell_that_an_answer_became_too_long() -> None:
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(max_audio_s=LIMIT_S)
    ) as served:
        received = bytearray()
        with pytest.raises(httpx.RemoteProtocolError):
            async with served.client.stream(
                "POST", SPEECH, json={**HELLO, "stream_format": "sse"}
            ) as answer:
                async for chunk in answer.aiter_raw():
                    received += chunk
        last = orjson.loads(received.split(b"\n\n")[-2].removeprefix(b"data: "))
        assert last["error"]["code"] == "audio_too_long"


@pytest.mark.fault(53)
async def test_pauses_count_as_they_are_heard() -> None:
    async with serving(
        FixedEngine(range(10)), settings=settings_for_tests(max_audio_s=LIMIT_S)
    ) as served:
        pause = "Hello. [pause:3s] Hello."
        assert await error_of(served, input=pause) == (400, "audio_too_long")
        assert await good_answer_s(served, input=pause, speed=2) == pytest.approx(
            (3 + 0.4) / 2, abs=0.01
        )


async def told(served: Served, *messages: dict[str, object]) -> dict[str, object]:
    """The first error that a WebSocket is told."""
    url = f"{served.url.replace('http', 'ws')}/v1/audio/speech/stream"
    async with connect(url, proxy=None) as socket, asyncio.timeout(10):
        for message in messages:
            await socket.send(json.dumps(message))
        while True:
            received = await socket.recv()
            if isinstance(received, str) and (found := json.loads(received))["type"] == "error":
                error: dict[str, object] = found["error"]
                return error


@pytest.mark.fault(53)
async def test_an_utterance_has_the_same_limit() -> None:
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(max_audio_s=LIMIT_S)
    ) as served:
        text: dict[str, object] = {"type": "text", "text": "Hello there."}
        error = await told(served, text, {"type": "end"})
        assert (error["type"], error["code"]) == ("server_error", "audio_too_long")
        pause: dict[str, object] = {"type": "text", "text": "Hello. [pause:3s] Hello again."}
        error = await told(served, pause, {"type": "end"})
        assert (error["type"], error["code"]) == ("invalid_request_error", "audio_too_long")


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        (DIGITS, 1.0),
        (PROSE, 1.0),
        (PROSE, 0.25),
        (PROSE.upper(), 0.25),
        (MANDARIN, 1.0),
        (TAMIL, 0.5),
    ],
)
async def test_the_longest_texts_are_let_in(text: str, speed: float) -> None:
    async with serving(FixedEngine(range(3))) as served:
        body = {**HELLO, "input": text, "speed": speed, "normalize": False}
        assert (await served.client.post(SPEECH, json=body)).status_code == 200


async def test_a_caller_with_a_limit_of_tokens_is_let_in() -> None:
    async with serving(
        FixedEngine(CODES, finish_reason="length"), settings=settings_for_tests(max_audio_s=4)
    ) as served:
        answer = await served.client.post(SPEECH, json={**HELLO, "input": PROSE, "max_tokens": 150})
        assert answer.status_code == 200


@pytest.mark.fault(53)
@pytest.mark.parametrize("name", ["wav", "pcm", "flac"])
async def test_a_whole_body_is_held_once(name: Format) -> None:
    """Noise of 100 s, from the encoder to the socket: the most that is held at a time is hardly
    more than the body.
    """
    rate_hz = 48_000
    second = np.random.default_rng(0).uniform(-0.5, 0.5, rate_hz).astype(np.float32)
    sent = head_bytes = 0

    async def send(message: Message) -> None:
        nonlocal sent, head_bytes
        sent += len(message.get("body", b""))
        head_bytes += int(dict(message.get("headers", [])).get(b"content-length", 0))

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    encoder = make_encoder(name, rate_hz, whole=True)
    sink = WholeSink(send, receive, [], 1.0)
    unlevelled = LoudnessTarget(target_db=None, typical_db=-20, estimation_window_s=0.2)
    stats = SynthesisStats()
    output = AudioOutput(
        encoder,
        sink,
        OutputOptions(rate_hz, name, delivery="whole"),
        unlevelled,
        voice_rate_hz=rate_hz,
        stats=stats,
        on_audio=lambda _: None,
    )
    tracemalloc.start()
    try:
        for _ in range(100):
            await output.write(second)
        await output.finish()
        await sink.finish(stats, output.body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sent == head_bytes > 8_000_000
    assert peak_bytes < 1.3 * sent
