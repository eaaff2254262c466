"""Invalid or oversized WebSocket handshakes: an error, then the connection is closed."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.server.http_protocol import HttpProtocol
from tests.api.test_slow_clients import Client
from tests.fakes import FixedEngine
from tests.live_server import Served, good_request, serving, settings_for_tests
from tests.waiting import until

pytestmark = pytest.mark.fault(50)

LINE = b"GET /v1/audio/speech/stream HTTP/1.1\r\n"
HOST, ASKS = b"host: x\r\n", b"connection: upgrade\r\nupgrade: websocket\r\n"
VERSION, NONCE = (
    b"sec-websocket-version: 13\r\n",
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
)
END = b"\r\n"
GOOD = LINE + HOST + ASKS + VERSION + NONCE

INVALID = {
    "a length": GOOD + b"content-length: 5\r\n\r\nhello",
    "chunks": GOOD + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding": GOOD + b"transfer-encoding: gzip\r\n\r\n",
    "no key": LINE + HOST + ASKS + VERSION + END,
    "a short key": LINE + HOST + ASKS + VERSION + b"sec-websocket-key: abc\r\n\r\n",
    "a key that is no ASCII": LINE + HOST + ASKS + VERSION + b"sec-websocket-key: \xff\xfe\r\n\r\n",
    "two keys": GOOD + NONCE + END,
    "no version": LINE + HOST + ASKS + NONCE + END,
    "another version": LINE + HOST + ASKS + NONCE + b"sec-websocket-version: 8\r\n\r\n",
    "two versions": GOOD + VERSION + END,
    "no host": LINE + ASKS + VERSION + NONCE + END,
    "two hosts": GOOD + HOST + END,
    "a folded header": GOOD + b"x: y\r\n z\r\n\r\n",
    "a header without a name": GOOD + b": y\r\n\r\n",
    "a control character": GOOD + b"x: \x01\r\n\r\n",
    "no token": GOOD + b"connection: ;;\r\n\r\n",
    "two origins": GOOD + b"origin: https://a\r\norigin: https://b\r\n\r\n",
    "bad protocols": GOOD + b"sec-websocket-protocol: ,;\r\n\r\n",
}
ELSEWISE = {
    "too large": (GOOD + b"cookie: " + b"y" * 66_000 + b"\r\n\r\n", 431),
    "too many headers": (GOOD + b"x: y\r\n" * 11_000 + b"\r\n", 431),
    "HTTP/1.0": (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0") + END, 426),
    "no connection": (LINE + HOST + b"upgrade: websocket\r\n" + VERSION + NONCE + END, 426),
    "no upgrade": (LINE + HOST + b"connection: upgrade\r\n" + VERSION + NONCE + END, 426),
    "another protocol": (
        LINE + HOST + b"connection: upgrade\r\nupgrade: websockets\r\n" + VERSION + NONCE + END,
        426,
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine([5] * 100)) as running:
        yield running
        await good_request(running)


async def answer_to(served: Served, *packets: bytes) -> Answer:
    """The one answer on a connection, which the server then closes."""
    client = await Client.of(served)
    for packet in packets:
        client.writer.write(packet)
        await asyncio.sleep(0.02)
    async with asyncio.timeout(5):
        received = await client.rest()
    assert received.count(b"HTTP/1.1 ") == 1, received
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return Answer(int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body)


def code_of(answer: Answer) -> str:
    error = json.loads(answer.body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error["code"]


@pytest.mark.parametrize("kind", INVALID)
async def test_a_handshake_that_is_not_valid_is_400_and_logged(
    served: Served, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = await answer_to(served, INVALID[kind])
    assert answer.status == 400
    assert code_of(answer) in ("invalid_handshake", "invalid_request")
    assert f"request {answer.headers['x-request-id']}: {code_of(answer)}" in caplog.text
    assert not any(record.exc_info for record in caplog.records)


async def test_another_version_is_told_which_is_spoken(served: Served) -> None:
    answer = await answer_to(served, INVALID["another version"])
    assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("kind", ELSEWISE)
async def test_what_is_no_handshake_is_answered_and_closed(served: Served, kind: str) -> None:
    request, status = ELSEWISE[kind]
    answer = await answer_to(served, request)
    assert answer.status == status
    assert code_of(answer) == {431: "headers_too_large", 426: "upgrade_required"}[status]
    assert answer.headers["x-request-id"]


async def test_a_post_is_405(served: Served) -> None:
    post = GOOD.replace(b"GET", b"POST").replace(b"connection: ", b"connection: close, ")
    assert (await answer_to(served, post + END)).status == 405


@pytest.mark.parametrize(
    "more",
    [
        b"cookie: " + b"y" * 9_000 + b"\r\n",
        b"x: y\r\n" * 200,
        b"x-name: J\xf6rg\r\n",
        b"content-length: 0\r\n",
        b"x-empty:\r\nx-padded: \t y \t\r\n",
    ],
    ids=["a large cookie", "many headers", "no ASCII", "no body", "empty"],
)
async def test_what_http_takes_a_handshake_may_have(served: Served, more: bytes) -> None:
    client = await Client.of(served)
    client.writer.write(GOOD + more + END)
    assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)).startswith(
        b"HTTP/1.1 101 "
    )
    client.writer.close()


async def test_a_handshake_that_comes_byte_by_byte_is_taken(served: Served) -> None:
    client = await Client.of(served)
    await client.drip(GOOD + END, 0)
    assert (await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)).startswith(
        b"HTTP/1.1 101 "
    )
    client.writer.close()


async def test_a_handshake_behind_an_answer_is_refused_after_it(served: Served) -> None:
    client = await Client.of(served)
    client.writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" + INVALID["a length"])
    received = await client.rest()
    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"400"]


class Application:
    """Answers no handshake, or fails at it; the rest is the service's."""

    def __init__(self, app: ASGIApp, *, fails: bool) -> None:
        self._app, self._fails = app, fails

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
        elif self._fails:
            raise RuntimeError("a bug")
        else:
            messages: list[Message] = [await receive(), await receive()]
            assert messages[1]["type"] == "websocket.disconnect"


async def test_a_handshake_that_is_not_answered_is_408_at_the_read_limit() -> None:
    async with serving(
        FixedEngine([5] * 100), settings=settings_for_tests(request_read_timeout_s=0.3)
    ) as served:
        served.server.config.loaded_app = Application(served.server.config.loaded_app, fails=False)
        answer = await answer_to(served, GOOD + END)
        assert (answer.status, code_of(answer)) == (408, "request_timeout")
        await served.settle()
        await good_request(served)


async def test_a_handshake_at_which_the_application_fails_is_500(served: Served) -> None:
    served.server.config.loaded_app = Application(served.server.config.loaded_app, fails=True)
    answer = await answer_to(served, GOOD + END)
    assert (answer.status, code_of(answer)) == (500, "internal_error")


async def test_a_handshake_that_waits_at_a_shutdown_is_503(served: Served) -> None:
    served.server.config.loaded_app = Application(served.server.config.loaded_app, fails=False)
    asked = asyncio.create_task(answer_to(served, GOOD + END))
    await asyncio.sleep(0.1)
    served.shut_connections_down()
    answer = await asked
    assert (answer.status, code_of(answer)) == (503, "draining")


async def test_another_path_opens_no_websocket(served: Served) -> None:
    answer = await answer_to(served, GOOD.replace(b"/stream", b"/stream/other") + END)
    assert (answer.status, code_of(answer)) == (403, "handshake_refused")


@pytest.mark.parametrize("level", ["info", "debug"])
async def test_the_one_line_of_a_websocket_has_neither_address_nor_query(
    level: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(level.upper()):
        settings = settings_for_tests(api_keys="key", log_level=level)
        async with serving(FixedEngine([5] * 100), settings=settings) as served:
            for key, status in ((b"key", 101), (b"other", 401)):
                client = await Client.of(served)
                fields = (
                    b"authorization: Bearer " + key + b"\r\nx-request-id: named-" + key + b"\r\n"
                )
                client.writer.write(
                    GOOD.replace(b"/stream", b"/stream?api_key=secret") + fields + END
                )
                head = await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 10)
                assert head.startswith(b"HTTP/1.1 %d " % status)
                port = client.writer.get_extra_info("sockname")[1]
                client.writer.close()
                await served.settle()
                assert str(port) not in caplog.text
                (line,) = [
                    record.getMessage()
                    for record in caplog.records
                    if "/stream" in record.getMessage()
                ]
                assert line.startswith(
                    f"GET /v1/audio/speech/stream request_id=named-{key.decode()} status={status} "
                )
                caplog.clear()
    assert "secret" not in caplog.text


class Unwilling(HttpProtocol):
    """A connection that fails to shut down."""

    def shutdown(self) -> None:
        raise RuntimeError("a bug")


async def test_a_connection_that_fails_to_shut_down_costs_no_other_its_answer() -> None:
    engine = FixedEngine([5] * 100, stall_after=8)
    async with serving(engine) as served:
        speaking = asyncio.create_task(good_request(served))
        await engine.stalled.wait()
        idle = await Client.of(served)
        await asyncio.sleep(0.05)
        for connection in served.server.server_state.connections:
            if connection.cycle is None:  # type: ignore[union-attr]
                connection.__class__ = Unwilling
        served.server.should_exit = True
        assert await idle.rest() == b""
        await asyncio.sleep(0.3)
        assert not speaking.done()
        engine.go_on.set()
        assert await speaking
    assert served.server.exit_code == 0


async def test_handshakes_without_end_hold_no_descriptor(served: Served) -> None:
    """Many handshakes that once hung for ever."""
    kinds = ("a length", "chunks")
    statuses = [(await answer_to(served, INVALID[kinds[at % 2]])).status for at in range(40)]
    assert statuses == [400] * 40
    await until(lambda: len(served.server.server_state.connections) <= 1, 5)
