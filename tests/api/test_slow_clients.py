"""Clients that send slowly or never end: answered with 408 or closed, without a slot."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator

import pytest
from websockets.asyncio.client import connect

from tests.fakes import UNREACHABLE, FixedEngine
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests
from tests.metric_values import counted

LIMIT_S = 0.4
BODY = json.dumps(HELLO).encode()
HEAD = f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n".encode()
SIZED = HEAD + f"content-length: {len(BODY)}\r\n\r\n".encode()
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
LAST_CHUNK = CHUNKED + f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n"  # trailers may follow
HANDSHAKE = (
    b"GET /v1/audio/speech/stream HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n"
    b"upgrade: websocket\r\n"
)
# The rest of a handshake.
KEY = b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
pytestmark = pytest.mark.fault(23)


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(
        FixedEngine([5] * 100), settings=settings_for_tests(request_read_timeout_s=LIMIT_S)
    ) as running:
        yield running
        await good_request(running)
        assert running.service.admission.in_flight == 0


class Client:
    """A client on a bare connection, which can take its time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, served: Served) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", served.port))

    async def drip(self, data: bytes, pause_s: float = 0.05) -> None:
        """Send byte after byte, until the other side has had enough."""
        try:
            for at in range(len(data)):
                self.writer.write(data[at : at + 1])
                await self.writer.drain()
                await asyncio.sleep(pause_s)
        except ConnectionError:
            pass

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        received = b""
        try:
            async with asyncio.timeout(10):
                while data := await self.reader.read(65_536):
                    received += data
        except ConnectionError:
            pass
        self.writer.close()
        return received

    async def answer(self) -> tuple[bytes, bytes]:
        """One answer with a length: its head and its body."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        length = next(
            int(line[15:])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        return head, await self.reader.readexactly(length)


async def timed_out(client: Client) -> None:
    """The client is told 408 in our shape, and the connection ends."""
    received = await client.rest()
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 "), received
    assert b"connection: close" in head
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "request_timeout"


async def dripped(served: Served, at_once: bytes, slowly: bytes) -> Client:
    client = await Client.of(served)
    client.writer.write(at_once)
    dripping = asyncio.create_task(client.drip(slowly))
    await timed_out(client)
    await dripping
    return client


@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", HEAD),
        (HEAD, b"x-slow: " + b"y" * 200),
        (SIZED, BODY),
        (SIZED + BODY[:-1], b""),
        (CHUNKED, b"1\r\n{\r\n" * 40),
        (HANDSHAKE, b"sec-websocket-key: " + b"y" * 200),
    ],
    ids=["head", "headers", "body", "last byte", "chunks", "handshake"],
)
async def test_a_request_that_does_not_arrive_in_time_is_408(
    served: Served, at_once: bytes, slowly: bytes
) -> None:
    await dripped(served, at_once, slowly)
    assert served.service.engine.prompts == []  # type: ignore[attr-defined]


async def test_a_connection_that_says_nothing_is_closed(served: Served) -> None:
    client = await Client.of(served)
    assert await client.rest() == b""


async def test_a_connection_that_is_used_again_has_the_same_limits(served: Served) -> None:
    for slowly, told in ((b"GET /health HTTP/1.1\r\n", b"HTTP/1.1 408 "), (b"\r\n" * 100, b"")):
        client = await Client.of(served)
        client.writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await client.answer())[0].startswith(b"HTTP/1.1 200")
        dripping = asyncio.create_task(client.drip(slowly))
        received = await client.rest()
        await dripping
        assert received.startswith(told)
        assert received or not told


async def test_an_upload_that_goes_on_at_a_fair_pace_may_take_longer(served: Served) -> None:
    client, padding = await Client.of(served), b" " * 4_000
    client.writer.write(HEAD + f"content-length: {len(BODY) + 10 * len(padding)}\r\n\r\n".encode())
    begun_s = asyncio.get_running_loop().time()
    for _ in range(10):
        client.writer.write(padding)
        await asyncio.sleep(0.1)
    assert asyncio.get_running_loop().time() - begun_s > 2 * LIMIT_S
    client.writer.write(BODY)
    assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n"), 10)).startswith(
        b"HTTP/1.1 200"
    )
    client.writer.close()


@pytest.mark.process
async def test_an_answer_longer_than_the_limit_is_not_cut_for_half_a_request_behind_it() -> None:
    engine = FixedEngine([5] * 100, gap_s=0.15)  # 1.5 s
    async with serving(
        engine, settings=settings_for_tests(request_read_timeout_s=LIMIT_S)
    ) as served:
        client = await Client.of(served)
        client.writer.write(SIZED + BODY + b"GET /health HTT")
        received = await client.rest()
        assert b"\r\n0\r\n\r\nHTTP/1.1 408 " in received
        engine.gap_s = 0
        await good_request(served)


async def test_a_body_that_goes_on_behind_a_refusal_is_closed() -> None:
    settings = settings_for_tests(request_read_timeout_s=LIMIT_S, api_keys="key")
    async with serving(FixedEngine([5] * 100), settings=settings) as served:
        client = await Client.of(served)
        client.writer.write(CHUNKED)
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 401 ")
        dripping = asyncio.create_task(client.drip(b"1\r\n \r\n" * 100))
        assert await client.rest() == b""
        await dripping


async def test_headers_without_end_are_431(served: Served) -> None:
    client = await Client.of(served)
    client.writer.write(HEAD + b"x-long: " + b"y" * 70_000)
    received = await client.rest()
    assert received.startswith(b"HTTP/1.1 431 ")
    assert b'"headers_too_large"' in received


async def test_a_websocket_outlives_the_limit_of_its_handshake(served: Served) -> None:
    url = f"ws://127.0.0.1:{served.port}/v1/audio/speech/stream"
    async with connect(url, proxy=None) as socket:
        await asyncio.sleep(3 * LIMIT_S)
        await socket.send(json.dumps({"type": "text", "text": "Hello there."}))
        await socket.send(json.dumps({"type": "end"}))
        async with asyncio.timeout(10):
            assert json.loads(await socket.recv())["type"] == "started"


@pytest.mark.parametrize(
    ("before", "again"),
    [(LAST_CHUNK, b"x: y\r\n"), (LAST_CHUNK + b"x: ", b"yyyyyyyy"), (CHUNKED + b"2;", b"extended")],
    ids=["trailers", "a trailer", "an extension"],
)
async def test_what_is_no_body_behind_the_headers_is_431_above_the_same_limit(
    before: bytes, again: bytes
) -> None:
    async with serving(FixedEngine([5] * 100)) as served:
        client = await Client.of(served)
        client.writer.write(before)
        await asyncio.sleep(0.1)
        client.writer.write(again * (70_000 // len(again)))
        received = await client.rest()
        assert received.startswith(b"HTTP/1.1 431 "), received
        assert b'"headers_too_large"' in received
        await served.settle()
        assert await served.metric('tts_requests_total{outcome="headers_too_large"}') >= 1
        await good_request(served)


async def test_trailers_without_end_behind_a_refusal_are_closed_before_a_key_is_known() -> None:
    async with serving(
        FixedEngine([5] * 100), settings=settings_for_tests(api_keys="key")
    ) as served:
        client = await Client.of(served)
        client.writer.write(CHUNKED + b"2\r\n{}\r\n0\r\n")
        assert (await client.answer())[0].startswith(b"HTTP/1.1 401 ")
        with pytest.raises(ConnectionError):
            for _ in range(500):  # 32 MB
                client.writer.write(b"x: y\r\n" * 10_922)
                await client.writer.drain()
        await client.rest()


async def test_a_trailer_is_no_header(served: Served) -> None:
    client = await Client.of(served)
    client.writer.write(LAST_CHUNK + b"x-trailer: 1\r\n\r\n")
    received = b""
    async with asyncio.timeout(10):
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received += await client.reader.read(65_536)
    assert received.startswith(b"HTTP/1.1 200")
    names = [name for each in served.server.server_state.connections for name, _ in each.headers]  # type: ignore[union-attr]
    assert b"content-type" in names
    assert b"x-trailer" not in names
    client.writer.close()


async def test_a_body_of_many_small_chunks_is_no_endless_head(served: Served) -> None:
    """Their sizes take more bytes than they do, and more than a head may."""
    client = await Client.of(served)
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in b" " * 100_000 + BODY)
    client.writer.write(CHUNKED + chunks + b"0\r\n\r\n")
    assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n"), 10)).startswith(
        b"HTTP/1.1 200"
    )
    client.writer.close()


async def test_chunks_whose_sizes_come_apart_are_no_endless_head() -> None:
    async with serving(FixedEngine([5] * 100)) as served:
        client, size = await Client.of(served), b"1;" + b"x" * 2_000 + b"\r\n"
        client.writer.write(CHUNKED)
        for byte in b" " * 50 + BODY:
            for piece in (size, bytes([byte]) + b"\r\n"):
                client.writer.write(piece)
                await asyncio.sleep(0.002)
        client.writer.write(b"0\r\n\r\n")
        assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n"), 10)).startswith(
            b"HTTP/1.1 200"
        )
        client.writer.close()
        await good_request(served)


async def test_a_large_body_before_half_a_head_is_no_endless_head(served: Served) -> None:
    client, body = await Client.of(served), b" " * 100_000 + BODY
    client.writer.write(HEAD + f"content-length: {len(body)}\r\n\r\n".encode())
    await asyncio.sleep(0.05)
    client.writer.write(body + b"GET /health HTTP/1.1\r\n")
    client.writer.write(b"host: x\r\nconnection: close\r\n\r\n")
    received = await client.rest()
    assert received.count(b"HTTP/1.1 200 ") == 2


@pytest.mark.process
@pytest.mark.parametrize(
    ("at_once", "later"),
    [
        (SIZED + BODY[:-1], b""),
        (CHUNKED + b"1\r\n", b""),
        (HEAD + b"x-long: " + b"y" * 70_000, b""),
        (b"no HTTP\r\n\r\n", b""),
        (b"", b"\r\n"),
    ],
    ids=["half a body", "half a chunk", "an endless head", "nonsense", "an empty line"],
)
async def test_what_comes_behind_a_request_does_not_break_into_its_answer(
    at_once: bytes, later: bytes
) -> None:
    engine = FixedEngine([5] * 100, gap_s=0.15)  # 1.5 s
    async with serving(
        engine, settings=settings_for_tests(request_read_timeout_s=LIMIT_S)
    ) as served:
        client = await Client.of(served)
        client.writer.write(SIZED + BODY + at_once)
        await asyncio.sleep(0.1)
        client.writer.write(later)
        first, ended, rest = (await client.rest()).partition(b"\r\n0\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200 ")
        assert ended
        assert b"HTTP/1.1 " not in first[1:]
        assert rest.startswith(b"HTTP/1.1 4") or not rest
        await served.settle()
        engine.gap_s = 0
        await good_request(served)


async def test_a_websocket_behind_a_running_answer_is_closed() -> None:
    engine = FixedEngine([5] * 100, stall_after=8)
    async with serving(engine) as served:
        client = await Client.of(served)
        client.writer.write(SIZED + BODY)
        await engine.stalled.wait()
        client.writer.write(HANDSHAKE + KEY)
        assert b"HTTP/1.1 101" not in await client.rest()
        await served.settle()  # the answer's work is let go
        engine.stall_after = None
        await good_request(served)


async def test_what_is_no_http_is_told_so_in_our_shape(served: Served) -> None:
    client = await Client.of(served)
    client.writer.write(b"\x16\x03\x01 hello\r\n\r\n")
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("path", [SPEECH, "/v1/audio/vc", "/v1/audio/voices"])
async def test_a_client_that_leaves_before_it_has_asked_is_no_failure_of_the_server(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app")
    kind = "application/json" if path == SPEECH else "multipart/form-data; boundary=b"
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: 1000\r\n\r\n"
        "--b\r\n"
    )
    async with serving(
        FixedEngine([5] * 100), settings=settings_for_tests(engine_urls=UNREACHABLE)
    ) as served:
        before = counted("tts_requests_total", outcome="cancelled")
        client = await Client.of(served)
        client.writer.write(head.encode())
        await asyncio.sleep(0.1)
        client.writer.close()
        await served.settle()
    left = counted("tts_requests_total", outcome="cancelled") - before
    assert left == (path != "/v1/audio/voices")  # which is no request for speech
    (line,) = [record for record in caplog.records if f"POST {path} " in record.message]
    assert line.levelno == logging.INFO
    assert "status=0 broken=True" in line.message
    assert "error=cancelled" in line.message


async def test_a_request_that_does_not_arrive_is_logged_as_it_was_answered(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app")
    client = await Client.of(served)
    client.writer.write(SIZED)
    await timed_out(client)
    await served.settle()
    (line,) = [record for record in caplog.records if f"POST {SPEECH} " in record.message]
    assert line.levelno == logging.INFO
    assert "status=408 broken=False" in line.message
    assert "error=request_timeout" in line.message


async def test_an_upload_that_is_given_up_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = settings_for_tests(request_read_timeout_s=LIMIT_S, engine_urls=UNREACHABLE)
    head = (
        b"POST /v1/audio/vc HTTP/1.1\r\nhost: x\r\n"
        b"content-type: multipart/form-data; boundary=b\r\n"
    )
    async with serving(FixedEngine([5] * 100), settings=settings) as served:
        slow, gone = await Client.of(served), await Client.of(served)
        for client in (slow, gone):
            client.writer.write(head + b"content-length: 1000\r\n\r\n--b\r\n")
        await asyncio.sleep(0.1)
        gone.writer.close()
        await timed_out(slow)
        await served.settle()
        await good_request(served)
    assert "unexpected error" not in caplog.text
    assert not any(record.exc_info for record in caplog.records if record.name.startswith("app"))


async def test_many_requests_in_one_piece_are_no_endless_head(served: Served) -> None:
    """As a client sends them that does not wait for answers; the piece ends within the last one's
    head.
    """
    asked = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-filler: " + b"a" * 900 + b"\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(asked * 1000 + asked[:500])
    writer.write(asked[500:-4] + b"\r\nconnection: close\r\n\r\n")
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    assert received.count(b"HTTP/1.1 200 ") == 1001
