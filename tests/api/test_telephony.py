"""G.711 for telephony: every delivery equals the 16-bit answer within the loss of eight bits."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import connect

from tests.api.test_formats import events
from tests.audio_checks import decoded, snr_db
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import SPEECH, Served, good_request, serving

CODES = tone_codes(150)
ASKED: dict[str, object] = {"input": "Hello there."}
LEAST_DB = 30


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES)) as running:
        yield running
        await good_request(running)


async def sixteen_bits(served: Served) -> NDArray[np.float64]:
    body = {**ASKED, "response_format": "pcm", "sample_rate": 8_000}
    return np.frombuffer((await served.client.post(SPEECH, json=body)).content, "<i2") / 32768


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("encoding", "container", "kind"),
    [("pcm_mulaw", "mulaw", "audio/basic"), ("pcm_alaw", "alaw", "audio/PCMA;rate=8000")],
)
async def test_raw_bytes_are_what_a_media_stream_wants(
    served: Served, encoding: str, container: str, kind: str, stream: bool
) -> None:
    body = {**ASKED, "response_format": "pcm", "encoding": encoding, "stream": stream}
    answer = await served.client.post(SPEECH, json=body)
    assert answer.headers["content-type"] == kind
    assert (answer.headers["x-audio-sample-rate"], answer.headers["x-audio-bit-depth"]) == (
        "8000",
        "8",
    )
    expected, heard = await sixteen_bits(served), decoded(answer.content, 8_000, container)
    assert len(heard) == len(answer.content) == len(expected)
    assert snr_db(expected, heard) >= LEAST_DB


@pytest.mark.parametrize("stream", [True, False])
async def test_a_wav_holds_mu_law_at_8_khz(served: Served, stream: bool) -> None:
    body = {**ASKED, "response_format": "wav", "encoding": "pcm_mulaw", "stream": stream}
    answer = await served.client.post(SPEECH, json=body)
    assert answer.headers["content-type"] == "audio/wav"
    assert int.from_bytes(answer.content[20:22], "little") == 7
    assert snr_db(await sixteen_bits(served), decoded(answer.content, 8_000)) >= LEAST_DB


async def test_the_rate_stays_the_callers(served: Served) -> None:
    body = {**ASKED, "response_format": "pcm", "encoding": "pcm_mulaw", "sample_rate": 16_000}
    answer = await served.client.post(SPEECH, json=body)
    assert answer.headers["content-type"] == "audio/PCMU;rate=16000"
    assert len(answer.content) == len(CODES) * 320


async def test_events_and_a_web_socket_carry_the_same_bytes(served: Served) -> None:
    fields = {"response_format": "pcm", "encoding": "pcm_mulaw", "normalize_loudness": False}
    expected = (await served.client.post(SPEECH, json={**ASKED, **fields})).content
    answer = await served.client.post(SPEECH, json={**ASKED, **fields, "stream_format": "sse"})
    deltas = events(answer.content)[:-1]
    assert b"".join(base64.b64decode(str(delta["audio"])) for delta in deltas) == expected
    sound = b""
    async with (
        connect(f"ws://127.0.0.1:{served.port}{SPEECH}/stream", proxy=None) as socket,
        asyncio.timeout(10),
    ):
        for message in (
            {"type": "session", **fields},
            {"type": "text", "text": ASKED["input"]},
            {"type": "end"},
        ):
            await socket.send(json.dumps(message))
        started = json.loads(await socket.recv())
        while isinstance(message := await socket.recv(), bytes):
            sound += message
    assert (started["encoding"], started["sample_rate"], started["bit_depth"]) == (
        "pcm_mulaw",
        8_000,
        8,
    )
    assert sound == expected


@pytest.mark.parametrize("name", ["mp3", "opus", "aac", "flac", None])
async def test_a_format_with_an_encoding_of_its_own_refuses_another(
    served: Served, name: str | None
) -> None:
    answer = await served.client.post(
        SPEECH, json={**ASKED, "response_format": name, "encoding": "pcm_mulaw"}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (
        400,
        "unsupported_value",
        "encoding",
    )
    answer = await served.client.post(
        SPEECH, json={**ASKED, "response_format": name, "encoding": "pcm_s16le"}
    )
    assert answer.status_code == 200


async def test_an_unknown_encoding_is_refused(served: Served) -> None:
    answer = await served.client.post(
        SPEECH, json={**ASKED, "response_format": "wav", "encoding": "gsm"}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "encoding")


async def test_an_odd_number_of_samples_is_padded_in_one_piece_alone(served: Served) -> None:
    body = {**ASKED, "response_format": "wav", "encoding": "pcm_mulaw", "sample_rate": 8_003}
    streamed, whole = [
        (await served.client.post(SPEECH, json={**body, "stream": stream})).content
        for stream in (True, False)
    ]
    assert len(streamed) == 46 + 24_009  # a stream's header has no fact chunk
    assert len(whole) == 58 + 24_010
    assert int.from_bytes(whole[4:8], "little") == len(whole) - 8
