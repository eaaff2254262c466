"""Clients of a speech service, correct and faulty ones, over raw sockets.

Each client sends one request of one kind and returns its outcome.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

PATH = "/v1/audio/speech"
TAIL_BYTES = 4_096  # the last bytes of a response, which are kept
SLOW_BYTES_PER_S = 20_000  # less than half of the 48,000 bytes/s of pcm in real time
TEXTS = (
    "The train leaves at nine. Please be on time.",
    "Good morning! How can I help you today?",
    "It rained all night, and in the morning the river had risen by half a metre.",
    "Yes.",
)
BAD_BODIES = (
    b'{"input": ""}',
    b'{"input": "Hello.", "voice": "unknown"}',
    b'{"input": "Hello.", "model": "none"}',
    b'{"input": "Hello.", "speed": NaN}',
    b'{"input": "\\ud800"}',
    b'{"input": "' + b"a" * 20_000 + b'"}',
    b'{"input": ["Hello."]}',
    b"{",
    b"[" * 50_000,
    b"",
)


@dataclass(frozen=True, slots=True)
class ClientResult:
    """Outcome of one request: its HTTP status, or a description where there is none."""

    kind: str
    outcome: str
    started_s: float  # time.monotonic()
    first_s: float | None = None  # from the request to the first bytes of the response
    total_s: float = 0.0
    received_bytes: int = 0


class Connection:
    """One connection to the service, read as fast as its client chooses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.received = b""  # the last bytes of the response
        self.status = ""
        self.body_bytes = 0

    def post(self, body: bytes, *, all_but_bytes: int = 0) -> None:
        """Send a request, without the last `all_but_bytes` bytes of its body."""
        head = (
            f"POST {PATH} HTTP/1.1\r\nhost: service\r\n"
            "content-type: application/json\r\nconnection: close\r\n"
        )
        self._writer.write(
            head.encode()
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body[: len(body) - all_but_bytes]
        )

    async def read(self, max_bytes: int = 65_536) -> bool:
        """Read more of the response; return False at its end."""
        data = await self._reader.read(max_bytes)
        self.status = self.status or data[9:12].decode("latin-1")
        self.received = data if len(data) >= TAIL_BYTES else (self.received + data)[-TAIL_BYTES:]
        self.body_bytes += len(data)
        return bool(data)

    def close(self, *, reset: bool = False) -> None:
        """Close the connection, with `reset` by a TCP reset."""
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
            self._writer.transport.abort()
        self._writer.close()


@asynccontextmanager
async def connected(url: str, *, small: bool = False) -> AsyncGenerator[Connection]:
    """Open a connection for the block; `small` gives it a receive buffer of 4 KiB."""
    parts = urlsplit(url)
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port or 80))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if small else 65_536)
    except BaseException:
        sock.close()
        raise
    connection = Connection(reader, writer)
    try:
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class RandomClient:
    """URL of the service, and the random numbers of one client."""

    url: str
    rng: random.Random

    async def run(self, kind: str, limit_s: float) -> ClientResult:
        """Send one request of a kind; after `limit_s` its outcome is "hung"."""
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(limit_s):
                return await KINDS[kind](self, kind, started_s)
        except TimeoutError:
            return ClientResult(kind, "hung", started_s, total_s=time.monotonic() - started_s)
        except ConnectionRefusedError:
            return ClientResult(kind, "refused connection", started_s)
        except OSError:
            return ClientResult(
                kind, "connection lost", started_s, total_s=time.monotonic() - started_s
            )

    def body(self, **fields: object) -> bytes:
        """Return the body of a valid request."""
        return json.dumps(
            {"input": self.rng.choice(TEXTS), "response_format": "pcm", **fields}
        ).encode()

    async def stream(self, kind: str, started_s: float) -> ClientResult:
        """Stream an answer to its end."""
        return await self.post_and_read(kind, started_s, self.body())

    async def whole(self, kind: str, started_s: float) -> ClientResult:
        """Request the answer as one complete body."""
        return await self.post_and_read(
            kind, started_s, self.body(stream=False, response_format="wav")
        )

    async def bad(self, kind: str, started_s: float) -> ClientResult:
        """Send an invalid request."""
        return await self.post_and_read(kind, started_s, self.rng.choice(BAD_BODIES))

    async def early(self, kind: str, started_s: float) -> ClientResult:
        """Disconnect before the first byte of the response."""
        async with connected(self.url) as connection:
            connection.post(self.body())
            await asyncio.sleep(self.rng.uniform(0, 0.05))
            connection.close(reset=self.rng.random() < 0.5)
        return _disconnected(kind, started_s, connection)

    async def midway(self, kind: str, started_s: float) -> ClientResult:
        """Close the connection in mid-stream."""
        return await self._disconnect_midway(kind, started_s, reset=False)

    async def reset(self, kind: str, started_s: float) -> ClientResult:
        """Reset the connection in mid-stream."""
        return await self._disconnect_midway(kind, started_s, reset=True)

    async def slow(self, kind: str, started_s: float) -> ClientResult:
        """Read slower than real time for some seconds, then disconnect."""
        async with connected(self.url, small=True) as connection:
            connection.post(self.body())
            for _ in range(self.rng.randint(10, 40)):
                if not await connection.read(2_000):
                    break
                await asyncio.sleep(2_000 / SLOW_BYTES_PER_S)
            connection.close(reset=True)
        return _disconnected(kind, started_s, connection)

    async def half(self, kind: str, started_s: float) -> ClientResult:
        """Send an incomplete request and disconnect."""
        async with connected(self.url) as connection:
            connection.post(self.body(), all_but_bytes=5)
            await asyncio.sleep(self.rng.uniform(0, 0.2))
            connection.close(reset=self.rng.random() < 0.5)
        return _disconnected(kind, started_s, connection)

    async def post_and_read(self, kind: str, started_s: float, body: bytes) -> ClientResult:
        """Send a body and read the whole response."""
        first_s = None
        async with connected(self.url) as connection:
            connection.post(body)
            while await connection.read():
                first_s = first_s or time.monotonic() - started_s
        outcome = connection.status or "no answer"
        if outcome == "200" and kind != "whole" and not connection.received.endswith(b"0\r\n\r\n"):
            outcome = "200, broken off"
        return ClientResult(
            kind, outcome, started_s, first_s, time.monotonic() - started_s, connection.body_bytes
        )

    async def _disconnect_midway(self, kind: str, started_s: float, *, reset: bool) -> ClientResult:
        async with connected(self.url) as connection:
            connection.post(self.body())
            await connection.read(1)
            await asyncio.sleep(self.rng.uniform(0, 0.1))
            connection.close(reset=reset)
        return _disconnected(kind, started_s, connection)


def _disconnected(kind: str, started_s: float, connection: Connection) -> ClientResult:
    return ClientResult(
        kind,
        "left",
        started_s,
        total_s=time.monotonic() - started_s,
        received_bytes=connection.body_bytes,
    )


KINDS: dict[str, Callable[[RandomClient, str, float], Awaitable[ClientResult]]] = {
    "stream": RandomClient.stream,
    "whole": RandomClient.whole,
    "bad": RandomClient.bad,
    "leaves early": RandomClient.early,
    "leaves midway": RandomClient.midway,
    "resets": RandomClient.reset,
    "slow": RandomClient.slow,
    "half a request": RandomClient.half,
}
GOOD = ("stream", "whole")
