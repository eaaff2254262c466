"""Fake engine with a fixed token rate, random failures and restarts."""

from __future__ import annotations

import asyncio
import json
import random
from types import TracebackType

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
)
VOCABULARY = 65_536
PROFILE = """
name = "fake"
model = "fake"
prompt = "{voice}: {text}"
characters_per_second = 15.0
typical_rms_db = -20.0
[codec]
name = "builtin"
weights = "builtin"
[tokens]
prefix = "<|s_"
suffix = "|>"
first_code_number = 0
codes_per_frame = 1
[sampling]
max_tokens = 2048
[voices]
names = ["voice"]
default = "voice"
"""


class FakeEngine:
    """Answers POST with speech tokens and GET with 200.

    A share `failing` of the answers fails in one of four ways.
    """

    def __init__(
        self, *, failing: float = 0.1, tokens: int = 150, tokens_per_s: float = 400.0, seed: int = 1
    ) -> None:
        self.failing = failing
        self._tokens = tokens
        self._gap_s = 10 / tokens_per_s  # events have 10 tokens
        self._random = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.requests = 0
        self.failures = 0
        self.restarts = 0

    @property
    def url(self) -> str:
        """URL of the engine, which a restart does not change."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> FakeEngine:
        await self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stop()

    async def restart(self, outage_s: float) -> None:
        """Abort all connections, stop for `outage_s`, and listen again on the same port."""
        self.restarts += 1
        await self._stop()
        await asyncio.sleep(outage_s)
        await self._listen()

    async def ensure_listening(self) -> None:
        """Listen again if a restart was cancelled."""
        if not self._server.is_serving():
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the service or this engine has disconnected
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET "):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            return
        lengths = [
            line.split(b":")[1]
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        body = json.loads(await reader.readexactly(int(lengths[0])))
        self.requests += 1
        failing = self._random.random() < self.failing
        self.failures += failing
        await self._speak(writer, min(self._tokens, body["max_tokens"] - 1), failing=failing)

    async def _speak(self, writer: asyncio.StreamWriter, tokens: int, *, failing: bool) -> None:
        failure = self._random.choice(["refuse", "cut", "garbage", "error"]) if failing else None
        if failure == "refuse":
            status = b"HTTP/1.1 500 Internal Server Error\r\n"
            writer.write(status + b"content-length: 0\r\nconnection: close\r\n\r\n")
            return
        writer.write(HEAD)
        stop = self._random.randrange(tokens) if failing else tokens
        for sent in range(0, stop, 10):
            numbers = (self._random.randrange(VOCABULARY) for _ in range(min(10, stop - sent)))
            self._send(writer, "".join(f"<|s_{number}|>" for number in numbers), None)
            await writer.drain()
            await asyncio.sleep(self._gap_s)
        if failure == "garbage":
            writer.write(_chunk(b"<html>502 Bad Gateway</html>\n"))
        elif failure == "error":
            writer.write(
                _chunk(b'data: {"error": {"message": "died"}}\n\ndata: [DONE]\n\n') + _chunk(b"")
            )
        elif failure is None:
            self._send(writer, "", "stop")
            writer.write(_chunk(b"data: [DONE]\n\n") + _chunk(b""))

    def _send(self, writer: asyncio.StreamWriter, text: str, finish: str | None) -> None:
        choice = {"index": 0, "text": text, "finish_reason": finish}
        writer.write(_chunk(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
