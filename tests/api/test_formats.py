"""Every format, rate, speed and delivery of the same speech, on real sockets."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator

import httpx
import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from app.audio.encoders import CONTENT_TYPES
from app.config.types import Format
from app.errors import EngineError
from tests.audio_checks import decoded, snr_db
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import SPEECH, Served, serving

CODES = tone_codes(150)
ASKED: dict[str, object] = {"input": "Hello there.", "normalize_loudness": False}
LOSSLESS_DB, LOSSY_DB = 60, 12


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES)) as running:
        yield running


async def pcm(served: Served, **fields: object) -> NDArray[np.float64]:
    answer = await served.client.post(SPEECH, json={**ASKED, **fields, "response_format": "pcm"})
    return np.frombuffer(answer.content, "<i2") / 32768


def best_db(expected: NDArray[np.float64], heard: NDArray[np.float64]) -> float:
    """Signal to error where the two agree best: a lossy stream begins with what its encoder looks
    ahead.
    """
    delays = range(0, max(1, len(heard) - len(expected) + 1))
    spectrum = np.fft.irfft(
        np.fft.rfft(heard, 2**18) * np.conj(np.fft.rfft(expected, 2**18)), 2**18
    )
    delay = int(np.argmax(spectrum[: len(delays)]))
    return snr_db(expected, heard[delay : delay + len(expected)])


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", list(CONTENT_TYPES))
async def test_every_format_holds_the_pcm_of_the_same_request(
    served: Served, name: Format, stream: bool
) -> None:
    expected = await pcm(served)
    answer = await served.client.post(
        SPEECH, json={**ASKED, "response_format": name, "stream": stream}
    )
    assert answer.headers["content-type"] == CONTENT_TYPES[name]
    assert ("content-length" in answer.headers) == (not stream)
    assert ("x-audio-bit-depth" in answer.headers) == (name in {"wav", "pcm", "flac"})
    heard = (
        np.frombuffer(answer.content, "<i2") / 32768
        if name == "pcm"
        else decoded(answer.content, 24_000)
    )
    assert len(heard) >= len(expected)
    assert best_db(expected, heard) >= (LOSSLESS_DB if name in {"wav", "pcm", "flac"} else LOSSY_DB)


async def test_mp3_is_what_a_request_gets_that_names_no_format(served: Served) -> None:
    answer = await served.client.post(SPEECH, json={"input": "Hello."})
    assert answer.headers["content-type"] == "audio/mpeg"


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.5, 4.0])
async def test_speed_divides_the_length(served: Served, speed: float) -> None:
    heard = await pcm(served, speed=speed)
    assert len(heard) == pytest.approx(len(CODES) * 480 / speed, rel=0.01)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
async def test_the_rate_is_the_callers(served: Served, rate_hz: int) -> None:
    body = {**ASKED, "response_format": "wav", "sample_rate": rate_hz, "stream": False}
    answer = await served.client.post(SPEECH, json=body)
    assert answer.headers["x-audio-sample-rate"] == str(rate_hz)
    assert int.from_bytes(answer.content[24:28], "little") == rate_hz
    assert (len(answer.content) - 44) / 2 / rate_hz == pytest.approx(3.0, abs=0.001)


def events(body: bytes) -> list[dict[str, object]]:
    return [orjson.loads(line.removeprefix(b"data: ")) for line in body.split(b"\n\n") if line]


@pytest.mark.parametrize("name", list(CONTENT_TYPES))
async def test_events_hold_the_audio_and_then_the_usage(served: Served, name: Format) -> None:
    expected = await served.client.post(SPEECH, json={**ASKED, "response_format": name})
    answer = await served.client.post(
        SPEECH, json={**ASKED, "response_format": name, "stream_format": "sse"}
    )
    assert answer.headers["content-type"] == "text/event-stream"
    *deltas, done = events(answer.content)
    audio = b"".join(base64.b64decode(str(delta["audio"])) for delta in deltas)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    if name == "opus":
        assert len(audio) == len(
            expected.content
        )  # the serial number of an Ogg stream is drawn anew
    else:
        assert audio == expected.content
    assert (done["type"], done["finish_reason"]) == ("speech.audio.done", "stop")
    prompt = "<|im_start|>lark: Hello there.<|speech_start|>"
    assert done["usage"] == {
        "input_tokens": len(prompt),
        "output_tokens": len(CODES),
        "total_tokens": len(prompt) + len(CODES),
    }


async def test_events_say_what_went_wrong_after_the_start() -> None:
    engine = FixedEngine(CODES, error=EngineError("the engine broke"), stall_after=8)
    async with serving(engine) as served:
        received = bytearray()
        with pytest.raises(
            httpx.RemoteProtocolError
        ):  # for clients that skip events that they do not know
            body = {**ASKED, "stream_format": "sse", "response_format": "pcm"}
            async with served.client.stream("POST", SPEECH, json=body) as answer:
                assert answer.status_code == 200
                async for chunk in answer.aiter_raw():
                    received += chunk
                    engine.go_on.set()
        first, *_, last = events(bytes(received))
        assert first["type"] == "speech.audio.delta"
        assert last["type"] == "speech.audio.error"
        error = last["error"]
        assert isinstance(error, dict)
        assert error["code"] == "engine_failed"


async def test_a_failure_before_the_start_is_a_status_for_events_too() -> None:
    engine = FixedEngine([], error=EngineError("the engine broke"))
    async with serving(engine) as served:
        answer = await served.client.post(SPEECH, json={**ASKED, "stream_format": "sse"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_failed")
