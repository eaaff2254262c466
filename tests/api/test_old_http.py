"""URLs of any length, the streaming route without an upgrade, and HTTP/1.0 clients."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator

import pytest

from app.errors import EngineError
from app.server.http_protocol import MAX_URL_BYTES
from tests.api.test_slow_clients import BODY, Client
from tests.api.test_stalled_clients import nothing_untaken, untaken
from tests.fakes import FixedEngine
from tests.live_server import SPEECH, Served, good_request, serving, settings_for_tests
from tests.waiting import until

pytestmark = pytest.mark.fault(52)

SIZED = f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine([5] * 100)) as running:
        yield running
        await good_request(running)


async def answer_to(served: Served, request: bytes) -> tuple[bytes, bytes]:
    client = await Client.of(served)
    client.writer.write(request)
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    return head, body


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("size", [MAX_URL_BYTES + 1, 65_535, 65_537, 200_000])
@pytest.mark.parametrize("behind", ["/", "/health?"])
async def test_a_url_over_the_limit_is_414(served: Served, behind: str, size: int) -> None:
    head, body = await answer_to(served, get(behind.ljust(size, "y")))
    assert head.startswith(b"HTTP/1.1 414 ")
    assert json.loads(body)["error"]["code"] == "url_too_long"


async def test_a_url_that_drips_is_414_as_soon_as_it_is_too_long(served: Served) -> None:
    client = await Client.of(served)
    for _ in range(9):
        client.writer.write(b"GET /" + b"y" * 1_000 if _ == 0 else b"y" * 1_000)
        await asyncio.sleep(0.01)
    assert (await client.rest()).startswith(b"HTTP/1.1 414 ")


async def test_a_url_of_the_limit_is_served(served: Served) -> None:
    head, _ = await answer_to(served, get("/health?".ljust(MAX_URL_BYTES, "y")))
    assert head.startswith(b"HTTP/1.1 200 ")


async def test_the_limit_holds_for_a_handshake(served: Served) -> None:
    url = b"/v1/audio/speech/stream?" + b"y" * 10_000
    head, _ = await answer_to(
        served, b"GET " + url + b" HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 414 ")


@pytest.mark.parametrize("digits", [b"0" * 5_000 + b"2", b"0" * 18 + b"2", b"2"], ids=len)
async def test_a_length_with_leading_zeros_is_what_it_says(served: Served, digits: bytes) -> None:
    head = (
        b"POST /v1/audio/normalize HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: application/json\r\n"
    )
    head, body = await answer_to(served, head + b"content-length: " + digits + b"\r\n\r\n{}")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "missing"


@pytest.mark.parametrize(
    "digits", [b"9" * 5_000, b"9" * 20, b"9" * 19, b"0" * 5_000 + b"9" * 9], ids=len
)
async def test_a_length_beyond_all_limits_is_refused(served: Served, digits: bytes) -> None:
    head = b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: "
    head, body = await answer_to(served, head + digits + b"\r\n\r\n{}")
    assert head[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 413 ")
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "flood",
    [
        *(
            b"a:\r\n" * 10_000,
            b"cookie: a=b\r\n" * 3_500,
            b"connection: " + b"a," * 25_000 + b"b\r\n",
        ),
        *(
            b"accept-encoding: " + b"a," * 25_000 + b"b\r\n",
            b"x-forwarded-for: " + b"a," * 25_000 + b"b\r\n",
        ),
        *(
            b"authorization: bearer " + b"a " * 25_000 + b"b\r\n",
            b"origin: " + b"http://" * 7_000 + b"\r\n",
        ),
    ],
    ids=lambda flood: flood[:16].decode(),
)
async def test_as_many_headers_as_the_limit_takes_are_answered(
    served: Served, flood: bytes
) -> None:
    head, _ = await answer_to(
        served, b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + flood + b"\r\n"
    )
    assert head.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("fields", [b"", b"x-long: " + b"y" * 60_000 + b"\r\n"], ids=["one", "two"])
async def test_headers_over_the_limit_are_431_also_in_one_piece(
    served: Served, fields: bytes
) -> None:
    long = (
        b"GET /health HTTP/1.1\r\nhost: x\r\n"
        + fields
        + b"x: "
        + b"y" * (6_000 if fields else 66_000)
    )
    head, _ = await answer_to(served, long + b"\r\nconnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")


async def test_the_websockets_route_without_an_upgrade_is_426(served: Served) -> None:
    answer = await served.client.get("/v1/audio/speech/stream")
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"
    assert "upgrade" in answer.headers["connection"]
    assert answer.json()["error"]["code"] == "upgrade_required"


@pytest.mark.parametrize("version", [b"1.0", b"0.9", b"2.0"])
async def test_a_client_older_than_chunks_gets_none(served: Served, version: bytes) -> None:
    """A client of an unknown version gets a body that any client reads."""
    head, body = await answer_to(
        served,
        b"POST "
        + SPEECH.encode()
        + b" HTTP/"
        + version
        + b"\r\nconnection: keep-alive\r\n"
        + SIZED,
    )
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == await good_request(served)


async def test_an_answer_with_a_length_is_as_it_was(served: Served) -> None:
    head, body = await answer_to(served, b"GET /v1/models HTTP/1.0\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert b"transfer-encoding" not in head


@pytest.mark.parametrize("ending", ["an error", "a slow client", "a shutdown"])
async def test_an_answer_without_chunks_that_breaks_off_is_a_reset(ending: str) -> None:
    """All else looks like the end of the sound."""
    engine = FixedEngine([number * 37 % 900 for number in range(300)])
    if ending == "an error":
        engine.gap_s, engine.error = 0.01, EngineError("gone")
    elif ending == "a shutdown":
        engine.stall_after = 12
    limits = settings_for_tests(client_write_timeout_s=0.3, shutdown_grace_s=1)
    buffer_bytes = 4096 if ending == "a slow client" else None
    async with serving(engine, settings=limits, send_buffer_bytes=buffer_bytes) as served:
        client, loop = socket.socket(), asyncio.get_running_loop()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.setblocking(False)
        with client:
            await loop.sock_connect(client, ("127.0.0.1", served.port))
            await loop.sock_sendall(client, b"POST " + SPEECH.encode() + b" HTTP/1.0\r\n" + SIZED)
            if ending == "a shutdown":
                await engine.stalled.wait()
                await asyncio.sleep(0.1)
                served.server.should_exit = True
            if ending == "a slow client":
                await until(lambda: untaken(served))
                await nothing_untaken(served)
            received = b""
            with pytest.raises(ConnectionResetError):
                async with asyncio.timeout(10):
                    while piece := await loop.sock_recv(client, 65_536):
                        received += piece
        assert received.startswith(b"HTTP/1.1 200 ")
