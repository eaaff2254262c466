"""Failures before and after the first samples, and clients that disconnect or stall."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Sequence

import httpx
import pytest

from app.audio.samples import Samples
from app.codec import CodeWindow, DeviceLost
from app.errors import EngineError, EngineTimeout, EngineTruncated
from tests.fakes import FixedEngine, ToneCodec, tone_codes
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests
from tests.metric_values import counted
from tests.waiting import until

CODES = tone_codes(300)
CULPRIT, NOISE = 990, 991
FAILURES = [EngineError("failed"), EngineTruncated("cut"), EngineTimeout("silent")]


async def broken_body(served: Served, on_bytes: Callable[[], object] = lambda: None) -> bytes:
    """The bytes of an answer that must begin with 200 and must not end cleanly."""
    received = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        async with served.client.stream("POST", SPEECH, json=HELLO) as answer:
            assert answer.status_code == 200
            async for chunk in answer.aiter_raw():
                received += chunk
                on_bytes()
    return bytes(received)


async def raw_request(
    served: Served,
    body: bytes = b'{"input": "Hello there.", "response_format": "pcm"}',
    key: str = "any",
) -> socket.socket:
    """A client on a bare socket, its receive buffer as small as the system allows."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, ("127.0.0.1", served.port))
    head = (
        f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        "content-type: application/json\r\n"
    )
    await loop.sock_sendall(
        client, head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body
    )
    return client


def reset(client: socket.socket) -> None:
    """Close with RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def repaired(served: Served, engine: FixedEngine) -> None:
    """Everything is let go; then one good request succeeds."""
    engine.error, engine.stall_after, engine.finish_reason, engine.numbers = (
        None,
        None,
        "stop",
        CODES,
    )
    await served.settle()
    assert engine.active == 0
    await good_request(served)


@pytest.mark.parametrize("error", FAILURES)
async def test_a_failure_before_the_first_samples_is_a_status(error: EngineError) -> None:
    engine = FixedEngine(CODES[:12], error=error)
    async with serving(engine) as served:
        answer = await served.client.post(SPEECH, json=HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (error.status, error.code)
        await repaired(served, engine)


@pytest.mark.fault(8, 10)
@pytest.mark.parametrize("error", FAILURES)
async def test_a_failure_after_them_breaks_the_body_off(error: EngineError) -> None:
    engine = FixedEngine(CODES)
    async with serving(engine) as served:
        good = await good_request(served)
        engine.numbers, engine.error = CODES[:100], error
        engine.stall_after = 6
        received = await broken_body(
            served, engine.go_on.set
        )  # the first window's bytes leave; then the engine fails
        assert received
        assert good.startswith(received)
        await repaired(served, engine)


@pytest.mark.parametrize("error", FAILURES)
async def test_a_whole_answer_turns_every_failure_into_a_status(error: EngineError) -> None:
    engine = FixedEngine(CODES, error=error)
    async with serving(engine) as served:
        answer = await served.client.post(SPEECH, json={**HELLO, "stream": False})
        assert (answer.status_code, answer.json()["error"]["code"]) == (error.status, error.code)
        await repaired(served, engine)


@pytest.mark.fault(16)
async def test_a_generation_without_audio_is_502() -> None:
    engine = FixedEngine([])
    async with serving(engine) as served:
        answer = await served.client.post(SPEECH, json=HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_no_audio")
        await repaired(served, engine)


async def test_speech_cut_by_the_token_limit_is_502_while_nothing_has_left() -> None:
    engine = FixedEngine(CODES[:12], finish_reason="length")
    async with serving(engine) as served:
        answer = await served.client.post(SPEECH, json=HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_length")
        await repaired(served, engine)


async def test_speech_cut_by_the_token_limit_later_is_a_broken_body() -> None:
    engine = FixedEngine(CODES, gap_s=0.01, finish_reason="length")
    async with serving(engine) as served:
        assert await broken_body(served)
        await repaired(served, engine)


@pytest.mark.fault(17)
async def test_a_code_out_of_range_never_reaches_the_codec() -> None:
    codec, engine = ToneCodec(), FixedEngine([*CODES[:10], 65_536])
    async with serving(engine, codec) as served:
        answer = await served.client.post(SPEECH, json=HELLO)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_protocol")
        assert codec.batches == []
        await repaired(served, engine)


@pytest.mark.fault(25, 29)
@pytest.mark.parametrize("bad", [CULPRIT, NOISE])
async def test_a_codec_failure_fails_one_request_of_a_batch(bad: int) -> None:
    codec = ToneCodec(culprit=CULPRIT, noise=NOISE)
    engine = FixedEngine(CODES)
    async with serving(engine, codec) as served:
        good = await good_request(served)
        codec.free.clear()
        blocker = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        assert await asyncio.to_thread(codec.busy.wait, 5)
        others = [asyncio.create_task(served.client.post(SPEECH, json=HELLO)) for _ in range(3)]
        await served.until_waiting(3)
        engine.numbers = [bad] * 40
        victim = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        await served.until_waiting(4)
        codec.free.set()
        answer = await victim
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "codec_failed")
        for other in (blocker, *others):
            assert (await other).content == good
        await repaired(served, engine)


@pytest.mark.fault(25, 29)
@pytest.mark.parametrize("bad", [CULPRIT, NOISE])
async def test_a_codec_failure_later_breaks_the_body_off(bad: int) -> None:
    engine = FixedEngine(CODES, stall_after=6)
    async with serving(engine, ToneCodec(culprit=CULPRIT, noise=NOISE)) as served:
        engine.numbers = [*CODES[:60], *[bad] * 60]
        received = await broken_body(served, engine.go_on.set)
        engine.stall_after, engine.numbers = None, CODES
        assert received
        assert (await good_request(served)).startswith(received)
        await repaired(served, engine)


@pytest.mark.fault(27)
async def test_a_lost_device_fails_what_is_in_flight_and_turns_health_and_readiness_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    engine, told = FixedEngine(CODES, stall_after=0), asyncio.Event()
    async with serving(engine, LosingCodec()) as served:
        served.service.readiness.on_failure = told.set
        silent = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        await engine.stalled.wait()
        engine.stall_after, engine.numbers = None, [CULPRIT] * 40
        victim = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        async with asyncio.timeout(1):  # a silent engine alone would take 15 s
            answers = [await victim, await silent]
            await told.wait()
        assert [answer.json()["error"]["code"] for answer in answers] == ["codec_failed"] * 2
        for path in ("/health", "/ready"):
            assert (await served.client.get(path)).status_code == 503
        refused = await served.client.post(SPEECH, json=HELLO)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")


class LosingCodec(ToneCodec):
    """Loses its device at the culprit."""

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode; raises DeviceLost for a batch that holds the culprit."""
        if any((window.codes == CULPRIT).any() for window in windows):
            raise DeviceLost("an illegal memory access was encountered")
        return super().decode(windows)


@pytest.mark.fault(19)
@pytest.mark.parametrize("leave", [socket.socket.close, reset])
async def test_a_client_that_leaves_before_the_first_byte_frees_everything(leave: object) -> None:
    engine = FixedEngine(CODES, stall_after=0)
    async with serving(engine) as served:
        client = await raw_request(served)
        await engine.stalled.wait()
        assert engine.active == 1
        leave(client)  # type: ignore[operator]
        await until(lambda: not engine.active, 1)
        await repaired(served, engine)


@pytest.mark.fault(20)
@pytest.mark.parametrize("leave", [socket.socket.close, reset])
async def test_a_client_that_leaves_in_mid_stream_frees_everything(leave: object) -> None:
    engine = FixedEngine(CODES, stall_after=8)
    async with serving(engine) as served:
        client = await raw_request(served)
        await engine.stalled.wait()
        assert (await asyncio.get_running_loop().sock_recv(client, 100)).startswith(b"HTTP/1.1 200")
        leave(client)  # type: ignore[operator]
        await until(lambda: not engine.active, 1)
        await repaired(served, engine)


@pytest.mark.fault(21)
async def test_the_window_of_a_client_that_left_is_never_decoded() -> None:
    codec, engine = ToneCodec(culprit=CULPRIT), FixedEngine(CODES[:20])
    async with serving(engine, codec) as served:
        failures = counted("tts_decode_failures_total")
        codec.free.clear()
        blocker = asyncio.create_task(good_request(served))
        assert await asyncio.to_thread(codec.busy.wait, 5)
        engine.numbers = [CULPRIT] * 20
        client = await raw_request(served)
        await served.until_waiting(1)
        client.close()
        await until(lambda: served.service.admission.in_flight <= 1, 5)
        codec.free.set()
        await blocker
        await repaired(served, engine)
        assert counted("tts_decode_failures_total") == failures


@pytest.mark.fault(22)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_reads_nothing_is_closed_at_the_write_limit(stream: bool) -> None:
    engine = FixedEngine(CODES[:250] * 2)  # 10 s of pcm: 480 kB
    limits = settings_for_tests(client_write_timeout_s=0.5)
    async with serving(engine, settings=limits, send_buffer_bytes=4096) as served:
        body = {**HELLO, "stream": stream, "max_tokens": 500}
        client = await raw_request(served, json.dumps(body).encode())
        await until(lambda: engine.prompts and not engine.active, 5)
        assert (
            served.service.admission.in_flight == 1
        )  # the engine is free long before the client is
        await served.settle()
        await closed_by_peer(client)
        await repaired(served, engine)


async def closed_by_peer(client: socket.socket) -> None:
    """Read the bytes that the system had buffered: they end early, without a last chunk."""
    loop, received = asyncio.get_running_loop(), b""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(5):
            while chunk := await loop.sock_recv(client, 65_536):
                received += chunk
    client.close()
    assert len(received) < 480_000 / 2
    assert not received.endswith(b"0\r\n\r\n")


@pytest.mark.fault(22)
@pytest.mark.parametrize("reads", [False, True], ids=["stalled", "a byte at a time"])
async def test_a_client_that_hardly_reads_holds_little_and_nobody_up(reads: bool) -> None:
    codec, engine = ToneCodec(), FixedEngine(CODES * 10, burst=1_000)  # a minute: 2.9 MB of pcm
    limits = settings_for_tests(client_write_timeout_s=1.0)
    async with serving(engine, codec, limits, send_buffer_bytes=4096) as served:
        body = json.dumps({**HELLO, "max_tokens": 3_000}).encode()
        client = await raw_request(served, body)
        reading = asyncio.create_task(read_slowly(client) if reads else asyncio.sleep(0))
        await until(lambda: codec.batches and not engine.active)
        await asyncio.sleep(0.3)
        decoded = frames_of(codec)
        assert decoded < 1_500  # both socket buffers, one window and one piece: not the minute
        engine.numbers = CODES
        await good_request(served)
        assert frames_of(codec) - decoded < 1.5 * len(
            CODES
        )  # theirs alone: nothing piles up for the first
        assert served.service.admission.in_flight == 1
        await served.settle()
        await reading
        await closed_by_peer(client)
        await repaired(served, engine)


def frames_of(codec: ToneCodec) -> int:
    """Frames decoded so far, context included."""
    return sum(frames for batch in codec.batches for _, frames in batch)


async def read_slowly(client: socket.socket) -> None:
    """A byte every 20 ms, for longer than the write limit."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionResetError):
        for _ in range(75):
            await loop.sock_recv(client, 1)
            await asyncio.sleep(0.02)


@pytest.mark.fault(41)
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_nothing_on_the_stack_turns_an_abort_into_a_clean_end() -> None:
    """Middlewares that buffer or swallow exceptions do; this is the stack as it is served."""
    engine = FixedEngine(CODES, gap_s=0.005, error=EngineError("failed"))
    async with serving(engine) as served:
        process = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-d", '{"input": "Hello."}'),
            *("-H", "content-type: application/json", served.url + SPEECH),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        status, _ = await process.communicate()
        assert (status, process.returncode) == (b"200", 18)
        await repaired(served, engine)


@pytest.mark.process
async def test_a_client_that_listens_in_real_time_hears_everything() -> None:
    """Its reads within one write timeout are far less than a window, and count as progress."""
    engine = FixedEngine(CODES * 2)  # 12 s of pcm: 576 kB, read at four times real time
    limits = settings_for_tests(client_write_timeout_s=1.5, request_timeout_s=0.8)
    async with serving(engine, settings=limits, send_buffer_bytes=4096) as served:
        body = json.dumps({**HELLO, "max_tokens": 600}).encode()
        client, loop = await raw_request(served, body), asyncio.get_running_loop()
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            data = await loop.sock_recv(client, 9_600)
            assert data, f"broken off after {len(received)} bytes"
            received += data
            await asyncio.sleep(len(data) / 192_000)
        client.close()
        assert len(received) > 576_000
        await repaired(served, engine)
