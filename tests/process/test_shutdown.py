"""The end of the process: on a signal, after its answers; on a lost device, at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.child_service import Running, running_in, start
from tests.fakes import FixedEngine
from tests.live_server import HELLO, SPEECH, serving

pytestmark = pytest.mark.process

FAULTS = ["Lose it.", "Hang.", "End."]
IN_FLIGHT = ["Wait.", "Go on.", "Go on."]  # one of them has no answer yet


@pytest.fixture
def running(tmp_path: Path) -> Generator[Running]:
    with running_in(
        tmp_path, "tests.faulty_service", DECODE_TIMEOUT_S="1", SHUTDOWN_GRACE_S="4"
    ) as service:
        yield service


def asking(text: str) -> dict[str, object]:
    return {"input": text, "response_format": "pcm", "max_tokens": 65_536}


@asynccontextmanager
async def client_of(running: Running) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=20, trust_env=False) as client:
        yield client


async def outcome(client: httpx.AsyncClient, text: str, begun: asyncio.Event | None = None) -> str:
    """Return an error's code, "broken" or "whole"; `begun` is set at the first bytes."""
    try:
        async with client.stream("POST", SPEECH, json=asking(text)) as answer:
            if answer.status_code != 200:
                await answer.aread()
                return answer.json()["error"]["code"]
            async for _ in answer.aiter_raw():
                if begun:
                    begun.set()
    except httpx.RemoteProtocolError:
        return "broken"
    return "whole"


async def begin(client: httpx.AsyncClient, text: str) -> asyncio.Task[str]:
    """Start a request, and return after its first bytes."""
    begun = asyncio.Event()
    task = asyncio.create_task(outcome(client, text, begun))
    await asyncio.wait_for(begun.wait(), 10)
    return task


@pytest.mark.fault(27)
@pytest.mark.fault(28)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_lost_device_breaks_every_answer_at_once_and_ends_the_process(
    running: Running, fault: str
) -> None:
    async with client_of(running) as client:
        silent = asyncio.create_task(outcome(client, "Wait."))
        playing = [await begin(client, "Go on.") for _ in range(2)]
        begun_s = time.monotonic()
        victim = asyncio.create_task(outcome(client, fault))
        outcomes = await asyncio.wait_for(asyncio.gather(victim, silent, *playing), 10)
        took_s = time.monotonic() - begun_s
    assert outcomes == ["codec_failed", "codec_failed", "broken", "broken"]
    assert took_s < 4  # 1 s until the hang is seen; a silent engine alone would take 5 s and more
    status, output = running.ended()
    assert status == 1, output
    assert "decoding has failed" in output
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", running.port), 5)


def stalled_client(running: Running) -> socket.socket:
    """Connect a client that requests a minute of audio and reads nothing of it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", running.port))
    body = json.dumps(asking("Much.")).encode()
    head = (
        f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}"
    )
    client.sendall(head.encode() + b"\r\n\r\n" + body)
    return client


def rest_of(client: socket.socket) -> bytes:
    """Return the bytes that the system still buffers for a client."""
    received = b""
    with contextlib.suppress(ConnectionResetError), client:
        client.settimeout(10)
        while chunk := client.recv(65_536):
            received += chunk
    return received


async def until_refused(running: Running) -> None:
    """Return when connections are refused."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)


@pytest.mark.fault(30)
async def test_sigterm_under_load_lets_answers_end_within_the_grace_and_breaks_the_rest(
    running: Running,
) -> None:
    async with client_of(running) as client:
        slow, endless = await begin(client, "Slowly."), await begin(client, "Go on.")
        silent = asyncio.create_task(outcome(client, "Wait."))
        stalled = await asyncio.to_thread(stalled_client, running)
        await asyncio.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        await until_refused(running)
        assert not slow.done()
        outcomes = await asyncio.wait_for(asyncio.gather(slow, endless, silent), 15)
        received = await asyncio.to_thread(rest_of, stalled)
    assert outcomes == ["whole", "broken", "draining"]
    assert received.startswith(b"HTTP/1.1 200")
    assert not received.endswith(b"0\r\n\r\n")
    status, output = await asyncio.to_thread(running.ended)
    assert status == 0, output
    assert "Traceback" not in output


@pytest.mark.fault(50)
async def test_handshakes_that_were_refused_change_nothing_at_sigterm(running: Running) -> None:
    head = (
        b"GET /v1/audio/speech/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
        b"upgrade: websocket\r\n"
    )
    refused = [
        head + more
        for more in (
            b"cookie: " + b"y" * 9_000,
            b"content-length: 5",
            b"transfer-encoding: chunked",
        )
    ]
    async with client_of(running) as client:
        clients = [await asyncio.open_connection("127.0.0.1", running.port) for _ in refused]
        for (_, writer), handshake in zip(clients, refused, strict=True):
            writer.write(handshake + b"\r\n\r\n")
        slow = await begin(client, "Slowly.")
        running.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(slow, 15) == "whole"
    status, output = await asyncio.to_thread(running.ended)
    assert status == 0, output
    assert "Traceback" not in output
    for reader, writer in clients:
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()


@pytest.mark.fault(30)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_it_at_once(running: Running, second: signal.Signals) -> None:
    async with client_of(running) as client:
        endless = await begin(client, "Go on.")
        running.process.send_signal(signal.SIGTERM)
        await until_refused(running)
        begun_s = time.monotonic()
        running.process.send_signal(second)
        assert await asyncio.wait_for(endless, 10) == "broken"
    status, output = await asyncio.to_thread(running.ended)
    assert status == 0, output
    assert time.monotonic() - begun_s < 3  # the grace is 4 s


@pytest.mark.fault(30)
async def test_sigterm_ends_it_though_a_call_hangs(tmp_path: Path) -> None:
    with running_in(tmp_path, "tests.faulty_service", SHUTDOWN_GRACE_S="1") as running:
        async with client_of(running) as client:
            hanging = asyncio.create_task(outcome(client, "Hang."))
            await asyncio.sleep(0.5)
            running.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(hanging, 10) == "draining"
        status, output = await asyncio.to_thread(running.ended)
        assert status == 0, output


@pytest.mark.fault(30)
@pytest.mark.fault(31)
def test_a_service_that_loads_says_so_and_leaves_when_it_is_told_to(tmp_path: Path) -> None:
    running = start(tmp_path, "tests.faulty_service", LOADS="never")
    try:
        with httpx.Client(
            base_url=running.url, trust_env=False, transport=httpx.HTTPTransport(retries=8)
        ) as client:
            assert client.get("/health").status_code == 200
            for answer in (client.get("/ready"), client.post(SPEECH, json=asking("Hello."))):
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
        running.process.send_signal(signal.SIGTERM)
        status, output = running.ended()
        assert status == 0, output
    finally:
        running.end()


@pytest.mark.fault(30)
async def test_a_signal_turns_readiness_off_before_anything_is_closed() -> None:
    engine = FixedEngine([7] * 100, stall_after=5)
    async with serving(engine) as served:
        playing = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        await engine.stalled.wait()
        served.service.readiness.drain()
        for answer in (
            await served.client.get("/ready"),
            await served.client.post(SPEECH, json=HELLO),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
            assert int(answer.headers["retry-after"]) >= 1
        assert (await served.client.get("/health")).status_code == 200
        engine.go_on.set()
        assert (await playing).status_code == 200


async def test_a_signal_makes_the_service_drain() -> None:
    async with serving() as served:
        assert not served.service.readiness.draining
        served.server.handle_exit(signal.SIGTERM, None)
        assert served.service.readiness.draining
