"""WebSocket clients that do not read: their connections are closed at the write timeout."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from app.server.websocket_protocol import MAX_WAITING_BYTES, WebSocketProtocol
from tests.api.test_slow_clients import HANDSHAKE, KEY
from tests.api.test_stalled_clients import nothing_untaken, untaken
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import Served, good_request, serving, settings_for_tests
from tests.waiting import until

CODES = tone_codes(300)
TEXT, CONTINUATION, CLOSE, PING = 0x1, 0x0, 0x8, 0x9


def frame(kind: int, data: bytes = b"", *, last: bool = True) -> bytes:
    """A frame as a client sends it, masked (RFC 6455, 5.2); `data` is shorter than 64 KB."""
    length = (
        bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    )
    mask = os.urandom(4)
    return (
        bytes([0x80 * last | kind])
        + length
        + mask
        + bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
    )


def said(**message: object) -> bytes:
    return frame(TEXT, json.dumps(message).encode())


@asynccontextmanager
async def connected(served: Served) -> AsyncGenerator[socket.socket]:
    """A client on a bare socket, its receive buffer as small as the system allows, which has shaken
    hands.
    """
    client, loop = socket.socket(), asyncio.get_running_loop()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.setblocking(False)
    with client:
        await loop.sock_connect(client, ("127.0.0.1", served.port))
        await loop.sock_sendall(client, HANDSHAKE + KEY)
        assert (await loop.sock_recv(client, 1024)).startswith(b"HTTP/1.1 101 ")
        yield client


def sockets(served: Served) -> list[WebSocketProtocol]:
    return [
        each
        for each in served.server.server_state.connections
        if isinstance(each, WebSocketProtocol)
    ]


@pytest.mark.fault(22)
async def test_a_client_that_never_reads_the_end_is_closed_at_the_write_limit() -> None:
    """It is idle, and so told to go, while the last sound still waits for it."""
    limits = settings_for_tests(client_write_timeout_s=0.5, websocket_idle_timeout_s=0.3)
    async with serving(FixedEngine(CODES[:60]), settings=limits, send_buffer_bytes=4096) as served:
        async with connected(served) as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(
                client, said(type="text", text="Hello there.") + said(type="end")
            )
            await until(lambda: untaken(served))
            await nothing_untaken(served)
            await served.settle()
        await good_request(served)


@pytest.mark.fault(22)
async def test_pings_whose_answers_nobody_takes_fill_no_memory() -> None:
    async with serving(FixedEngine(CODES), send_buffer_bytes=4096) as served:
        async with connected(served) as client:
            loop, pings, most = asyncio.get_running_loop(), frame(PING, b"p" * 125) * 500, 0
            with pytest.raises(ConnectionError):
                for _ in range(300):  # 20 MB
                    await loop.sock_sendall(client, pings)
                    most = max([most, *untaken(served)])
            assert most < 2 * MAX_WAITING_BYTES
        await good_request(served)


@pytest.mark.fault(32)
async def test_empty_parts_of_a_message_are_not_kept() -> None:
    async with serving(FixedEngine(CODES)) as served:
        async with connected(served) as client:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, frame(TEXT, b'{"type"', last=False))
            await loop.sock_sendall(client, frame(CONTINUATION, last=False) * 10_000 + frame(PING))
            assert await asyncio.wait_for(loop.sock_recv(client, 2), 10) == b"\x8a\x00"
            (connection,) = sockets(served)
            assert len(connection.frames) == 1
            await loop.sock_sendall(client, frame(CONTINUATION, b': "cancel"}'))
            assert b"cancelled" in await asyncio.wait_for(loop.sock_recv(client, 1024), 10)
        await good_request(served)


UNMASKED = b"\x81\x02{}"
BROKEN = {
    "a text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "half a character": (
        frame(TEXT, b'{"type": "\xc3', last=False) + frame(CONTINUATION, b'\xff"}'),
        1007,
    ),
    "half a surrogate": (frame(TEXT, b"\xed\xa0\xbd"), 1007),
    "no mask": (UNMASKED, 1002),
    "an unknown kind": (frame(0x3, b"a"), 1002),
    "a reserved bit": (bytes([frame(TEXT, b"a")[0] | 0x40]) + frame(TEXT, b"a")[1:], 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"a"), 1002),
    "a text within a text": (frame(TEXT, b"a", last=False) + frame(TEXT, b"a"), 1002),
    "a ping in parts": (frame(PING, b"a", last=False), 1002),
    "a long ping": (frame(PING, b"a" * 126), 1002),
    "half a code": (frame(CLOSE, b"\x03"), 1002),
    "a reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "a length that is not there": (b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"mask", 1009),
}


@pytest.mark.fault(35)
@pytest.mark.parametrize("name", BROKEN)
async def test_a_frame_that_breaks_the_protocol_closes_its_connection_alone(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, code = BROKEN[name]
    async with serving(FixedEngine(CODES[:60])) as served:
        async with connected(served) as client, connected(served) as other:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, data + said(type="cancel"))
            answer = b""
            while received := await asyncio.wait_for(loop.sock_recv(client, 1024), 10):
                answer += received
            assert answer[:1] == b"\x88"
            assert int.from_bytes(answer[2:4]) == code
            await loop.sock_sendall(other, said(type="cancel"))
            assert b"cancelled" in await asyncio.wait_for(loop.sock_recv(other, 1024), 10)
        await good_request(served)
    assert [
        record for record in caplog.records if record.levelno >= logging.WARNING or record.exc_info
    ] == []
