"""Requests for an upgrade: ignored unless it is a WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from tests.api.test_slow_clients import BODY, HANDSHAKE, HEAD, KEY, Client
from tests.api.test_stalled_websockets import said
from tests.fakes import FixedEngine
from tests.live_server import SPEECH, Served, good_request, serving

pytestmark = pytest.mark.fault(51)

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"  # would be 404
LAST = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
ASKING = {
    "java": (
        b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
    ),
    "unknown": b"upgrade: foo\r\nconnection: upgrade\r\n",
    "websocket": b"connection: keep-alive, Upgrade\r\nupgrade: websocket\r\n",
    "two": b"upgrade: h2c\r\nupgrade: TLS/1.0\r\nconnection: upgrade\r\n",
    "list": b"connection: upgrade\r\nupgrade: foo/1, , bar\r\n",
    "no upgrade": b"connection: upgrade\r\n",
    "no connection": b"upgrade: h2c\r\n",
    "handshake": b"connection: upgrade\r\nupgrade: websocket\r\n" + KEY.removesuffix(b"\r\n"),
}


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine([5] * 100)) as running:
        yield running
        await good_request(running)


async def asked(served: Served, *packets: bytes) -> list[int]:
    """The statuses of all answers to packets that come one after the other."""
    client = await Client.of(served)
    for packet in packets:
        client.writer.write(packet)
        await asyncio.sleep(0.05)
    received = await client.rest()
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


def sized(fields: bytes, body: bytes) -> bytes:
    return HEAD + fields + f"content-length: {len(body)}\r\n\r\n".encode()


def chunked(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
@pytest.mark.parametrize("asking", ASKING)
async def test_an_upgrade_is_ignored_and_the_body_read(
    served: Served, asking: str, apart: bool
) -> None:
    head = sized(ASKING[asking], BODY)
    packets = (head, BODY, LAST) if apart else (head + BODY + LAST,)
    assert await asked(served, *packets) == [200, 200]
    assert len(served.service.engine.prompts) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
@pytest.mark.parametrize("asking", ASKING)
async def test_a_body_is_never_another_request(served: Served, asking: str, apart: bool) -> None:
    """It is no JSON, and so 400."""
    head = sized(ASKING[asking], SMUGGLED)
    packets = (head, SMUGGLED, LAST) if apart else (head + SMUGGLED + LAST,)
    assert await asked(served, *packets) == [400, 200]


@pytest.mark.parametrize("asking", ASKING)
async def test_chunks_are_never_another_request(served: Served, asking: str) -> None:
    head = HEAD + ASKING[asking] + b"transfer-encoding: chunked\r\n\r\n"
    assert await asked(served, head + chunked(SMUGGLED), LAST) == [400, 200]
    assert await asked(served, head, chunked(BODY)[:5], chunked(BODY)[5:] + LAST) == [200, 200]


@pytest.mark.parametrize("cut", [1, 30, 70, 100, 150])
async def test_a_head_that_comes_in_two_pieces_is_no_other(served: Served, cut: int) -> None:
    request = sized(ASKING["java"], SMUGGLED) + SMUGGLED + LAST
    assert await asked(served, request[:cut], request[cut:]) == [400, 200]


@pytest.mark.parametrize("asking", ["java", "unknown", "websocket", "list"])
async def test_the_request_behind_one_without_a_body_is_answered(
    served: Served, asking: str
) -> None:
    first = b"GET /health HTTP/1.1\r\nhost: x\r\n" + ASKING[asking] + b"\r\n"
    assert await asked(served, first, LAST) == [200, 200]
    assert await asked(served, first * 3 + LAST) == [200] * 4
    assert (
        await asked(served, first + sized(ASKING[asking], BODY) + BODY + first + LAST) == [200] * 4
    )


async def test_close_and_upgrade_is_the_last_request(served: Served) -> None:
    asking = b"connection: close, upgrade\r\nupgrade: h2c\r\n"
    assert await asked(served, sized(asking, BODY) + BODY + SMUGGLED) == [200]
    assert await asked(served, sized(asking, BODY), BODY, SMUGGLED) == [200]


async def test_two_framings_of_a_body_are_refused(served: Served) -> None:
    for framing in (
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip\r\n",
    ):
        assert await asked(served, HEAD + ASKING["java"] + framing + b"\r\n", SMUGGLED) == [400]


@pytest.mark.parametrize("target", [b"example.org:443", b"/health", SPEECH.encode()])
async def test_a_tunnel_is_refused(served: Served, target: bytes) -> None:
    head = b"CONNECT " + target + b" HTTP/1.1\r\nhost: x\r\n\r\n"
    assert await asked(served, head, SMUGGLED) == [400]
    assert await asked(served, head + SMUGGLED) == [400]


async def test_a_tunnel_behind_an_answer_is_refused_after_it(served: Served) -> None:
    head = b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n"
    assert await asked(served, sized(b"", BODY) + BODY + head + SMUGGLED) == [200, 400]


async def test_expecting_100_and_an_upgrade(served: Served) -> None:
    head = sized(b"expect: 100-continue\r\n" + ASKING["java"], BODY)
    assert await asked(served, head, BODY + LAST) == [100, 200, 200]


async def test_an_upgrade_in_http_1_0_is_ignored(served: Served) -> None:
    for asking in ("java", "handshake"):
        head = sized(ASKING[asking], BODY).replace(b" HTTP/1.1", b" HTTP/1.0")
        assert await asked(served, head + BODY) == [200]


async def test_many_upgrades_in_one_piece_are_all_answered(served: Served) -> None:
    one = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: foo\r\n\r\n"
    assert await asked(served, one * 500 + LAST) == [200] * 501


PROTOCOLS = [b"websocket", b"h2c, WebSocket", b"h2c\r\nupgrade: websocket", b"websocket, foo"]


@pytest.mark.parametrize("protocols", PROTOCOLS)
async def test_a_websocket_is_taken_up_among_others(served: Served, protocols: bytes) -> None:
    client = await Client.of(served)
    client.writer.write(HANDSHAKE.replace(b"upgrade: websocket", b"upgrade: " + protocols) + KEY)
    assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)).startswith(
        b"HTTP/1.1 101 "
    )
    client.writer.write(said(type="cancel"))
    assert b"cancelled" in await asyncio.wait_for(client.reader.read(1000), 10)
    client.writer.close()


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
async def test_messages_that_come_before_the_handshake_is_answered_are_heard(
    served: Served, apart: bool
) -> None:
    client = await Client.of(served)
    message = said(type="cancel")
    client.writer.write(HANDSHAKE + KEY + message[: 4 if apart else None])
    if apart:
        await asyncio.sleep(0.05)
        client.writer.write(message[4:])
    client.writer.write(said(type="cancel"))
    async with asyncio.timeout(10):
        head = await client.reader.readuntil(b"\r\n\r\n")
        for _ in range(2):
            assert json.loads((await client.reader.readuntil(b"}"))[2:]) == {"type": "cancelled"}
    assert head.startswith(b"HTTP/1.1 101 ")
    client.writer.close()
