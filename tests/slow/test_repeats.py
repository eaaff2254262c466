"""HAProxy and nginx with the configurations of deploy/: requests repeated at other servers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import pytest

from bench import proxied

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

PROXIES = {"haproxy": proxied.haproxy, "nginx": proxied.nginx}
REQUESTS = 12
Temper = Literal["speaks", "is not ready", "dies over it", "breaks off", "refuses connections"]
NOT_READY = {
    "error": {"message": "loading", "type": "server_error", "param": None, "code": "not_ready"}
}


@dataclass
class Upstream:
    """A server of one temper, which notes the requests that it took up."""

    temper: Temper
    port: int = 0
    taken_up: Counter[str] = field(default_factory=Counter[str])

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if head.startswith("get"):
                writer.write(
                    response("200 OK", b"{}")
                )  # HAProxy's question: every server here says that it is ready
            else:
                length = int(head.split("content-length:")[1].split()[0])
                self.speak(json.loads(await reader.readexactly(length))["input"], writer)
            await writer.drain()
        writer.close()

    def speak(self, text: str, writer: asyncio.StreamWriter) -> None:
        """Answer as the temper has it; a request that is not refused counts as begun."""
        if self.temper == "is not ready":
            writer.write(response("503 Service Unavailable", json.dumps(NOT_READY).encode()))
            return
        self.taken_up[text] += 1
        if self.temper == "speaks":
            writer.write(response("200 OK", b"sound"))
        elif self.temper == "breaks off":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nsound\r\n")


def response(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after: 5\r\n"
        "connection: close\r\n"
    )
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def site(
    proxy: str, tempers: tuple[Temper, Temper], folder: Path
) -> AsyncGenerator[tuple[str, list[Upstream]]]:
    """A proxy's URL, and the servers behind it."""
    if not proxied.installed(proxy):
        pytest.skip(f"{proxy} is not installed")
    upstreams = [Upstream(temper) for temper in tempers]
    async with AsyncExitStack() as stack:
        for upstream in upstreams:
            server = await asyncio.start_server(upstream.answer, "127.0.0.1", 0)
            upstream.port = server.sockets[0].getsockname()[1]
            await stack.enter_async_context(server)
            if upstream.temper == "refuses connections":
                server.close()
        first, second = upstreams
        with PROXIES[proxy](first.port, second.port, folder) as url:
            yield url, upstreams


async def asked(url: str, padding: int = 0) -> list[httpx.Response | None]:
    """The answers to requests that come one after the other, so much longer; None for one that
    broke off.
    """
    answers: list[httpx.Response | None] = []
    async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
        for number in range(REQUESTS):
            try:
                answers.append(
                    await client.post(
                        "/v1/audio/speech", json={"input": str(number), "x": "x" * padding}
                    )
                )
            except httpx.RemoteProtocolError:
                answers.append(None)
    return answers


def most_often(upstreams: list[Upstream]) -> int:
    """Return the largest number of starts of one request, over all servers."""
    return max(
        sum((upstream.taken_up for upstream in upstreams), Counter[str]()).values(), default=0
    )


@pytest.mark.parametrize("padding", [0, 1_000_000])
@pytest.mark.parametrize("other", ["is not ready", "refuses connections"])
async def test_nginx_asks_the_other_server_of_what_one_did_not_begin(
    other: Temper, padding: int, tmp_path: Path
) -> None:
    """Also of an upload, which stands in a file by then."""
    async with site("nginx", ("speaks", other), tmp_path) as (url, upstreams):
        answers = await asked(url, padding)
    assert [answer and answer.status_code for answer in answers] == [200] * REQUESTS
    assert most_often(upstreams) == 1


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("first", ["speaks", "is not ready", "dies over it", "refuses connections"])
@pytest.mark.parametrize("second", ["dies over it", "breaks off"])
async def test_what_a_server_has_begun_is_never_asked_for_again(
    proxy: str, first: Temper, second: Temper, tmp_path: Path
) -> None:
    async with site(proxy, (first, second), tmp_path) as (url, upstreams):
        answers = await asked(url)
    assert sum(upstreams[1].taken_up.values()) > 0
    assert most_often(upstreams) == 1
    assert {answer and answer.status_code for answer in answers} <= {200, 502, 503, None}


async def test_nginx_passes_on_what_the_last_server_says(tmp_path: Path) -> None:
    """Neither is taken out of use by its 503: the next request is asked of both again."""
    async with site("nginx", ("is not ready", "is not ready"), tmp_path) as (url, _):
        answers = await asked(url)
    for answer in answers:
        assert answer is not None
        assert answer.status_code == 503
        assert answer.json() == NOT_READY
        assert answer.headers["retry-after"] == "5"
