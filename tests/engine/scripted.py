"""An engine on a raw socket that follows a script, so that every way of failing can be had on
demand.

    async with ScriptedEngine([completion(range(9))[:4] + [Reset()]]) as fake:
        ...  # the first POST gets that; those after it a good completion of `fake.good`

A script is a list of steps; a request takes the next one. When it runs out, the connection stays
open for another request unless its last step closed it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType

from tests.waiting import until

PREFIX, SUFFIX = "<|s_", "|>"
ID_OFFSET = 260
END_ID = 257  # the model's end token, which has no text
GOOD = (5, 3, 1023, 0, 7, 7, 12)


@dataclass(frozen=True, slots=True)
class Send:
    """Write bytes as they are."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for a time; for ever by default."""

    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until the test sets an event."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection in order (FIN)."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection (RST)."""


Step = Send | Sleep | Wait | Close | Reset


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        """The body's fields."""
        fields: dict[str, object] = json.loads(self.body)
        return fields


def head(
    status: int = 200,
    content_type: str = "text/event-stream; charset=utf-8",
    *lines: str,
    keep_alive: bool = False,
) -> bytes:
    """The status line and headers of a chunked answer."""
    reason = HTTPStatus(status).phrase
    fields = [f"content-type: {content_type}", "transfer-encoding: chunked", *lines]
    fields += [] if keep_alive else ["connection: close"]
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *fields, "", ""]).encode()


def chunk(data: bytes) -> bytes:
    """One HTTP chunk; empty data is the last one."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(payload: object) -> bytes:
    """One server-sent event that holds JSON."""
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def tokens(numbers: Sequence[int]) -> str:
    """The text of speech tokens."""
    return "".join(f"{PREFIX}{number}{SUFFIX}" for number in numbers)


def choice(
    text: str, ids: Sequence[int] | None = None, finish: str | None = None
) -> dict[str, object]:
    """A completion's event, as vLLM words it."""
    token_ids = None if ids is None else list(ids)
    fields = {
        "index": 0,
        "text": text,
        "logprobs": None,
        "finish_reason": finish,
        "token_ids": token_ids,
    }
    return {"id": "cmpl-1", "object": "text_completion", "model": "tiny", "choices": [fields]}


def events(
    numbers: Sequence[int], *, ids: bool = True, per_event: int = 1, finish: str | None = "stop"
) -> list[bytes]:
    """The events of a completion: tokens, the finishing one, the usage and `[DONE]`. No `finish`:
    tokens alone.
    """
    parts = [list(numbers[i : i + per_event]) for i in range(0, len(numbers), per_event)]
    out = [
        event(choice(tokens(part), [n + ID_OFFSET for n in part] if ids else None))
        for part in parts
    ]
    if finish is not None:
        usage = {
            "prompt_tokens": 9,
            "completion_tokens": len(numbers) + 1,
            "total_tokens": len(numbers) + 10,
        }
        out.append(event(choice("", [END_ID] if ids else None, finish)))
        out.append(event({"id": "cmpl-1", "choices": [], "usage": usage}))
        out.append(b"data: [DONE]\n\n")
    return out


def answer(parts: Sequence[bytes], *, gap_s: float = 0.0, keep_alive: bool = False) -> list[Step]:
    """A whole chunked answer with status 200: the head, a chunk for each part, the last chunk, and
    the close.
    """
    steps: list[Step] = [Send(head(keep_alive=keep_alive))]
    for part in parts:
        steps += [Sleep(gap_s)] if gap_s else []
        steps.append(Send(chunk(part)))
    steps.append(Send(chunk(b"")))
    return steps if keep_alive else [*steps, Close()]


def completion(
    numbers: Sequence[int],
    *,
    ids: bool = True,
    per_event: int = 1,
    finish: str | None = "stop",
    gap_s: float = 0.0,
    keep_alive: bool = False,
) -> list[Step]:
    """A good answer. Cut it (`completion(...)[:k]`; step 0 is the head) and add what goes wrong."""
    parts = events(numbers, ids=ids, per_event=per_event, finish=finish)
    return answer(parts, gap_s=gap_s, keep_alive=keep_alive)


def refusal(
    status: int, body: bytes, *lines: str, content_type: str = "application/json"
) -> list[Step]:
    """An answer before the stream: a status, header lines and a whole body."""
    fields = [
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        "connection: close",
        *lines,
    ]
    top = "\r\n".join([f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *fields, "", ""])
    return [Send(top.encode() + body), Close()]


class _Connection(asyncio.Protocol):
    """One connection; its script ends with it."""

    transport: asyncio.Transport

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine = engine
        self._received = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._engine.connections.add(self)
        self._engine.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._engine.connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        before, blank, body = self._received.partition(b"\r\n\r\n")
        first, *lines = before.decode("latin-1").split("\r\n")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if blank and len(body) >= int(fields.get("content-length", 0)):
            self._received = b""
            method, path, _ = first.split(" ")
            script = self._engine.next_script(Request(method, path, fields, body))
            self._task = asyncio.get_running_loop().create_task(self._follow(script))

    async def _follow(self, script: Sequence[Step]) -> None:
        for step in script:
            match step:
                case Send(data):
                    self.transport.write(data)
                case Sleep(seconds):
                    await asyncio.sleep(seconds)
                case Wait(gate):
                    await gate.wait()
                case Close():
                    self.transport.close()
                case Reset():
                    await asyncio.sleep(
                        0.01
                    )  # what was written goes out first: a reset discards the rest
                    self.break_off()

    def break_off(self) -> None:
        """Close with a reset."""
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()


class ScriptedEngine:
    """The server. POST takes the next script; GET /health answers `health` after `pause_s`, or
    nothing while `frozen`.

    GET /v1/models answers `models`; None: 404, as a gateway does.
    """

    def __init__(
        self, scripts: Sequence[Sequence[Step]] = (), *, good: Sequence[int] = GOOD
    ) -> None:
        self._scripts = list(scripts)
        self.good = good
        self.health = 200
        self.frozen = False
        self.pause_s = 0.0
        self.probes = 0
        self.models: bytes | None = None
        self.questions = 0
        self.requests: list[Request] = []
        self.connections: set[_Connection] = set()
        self.accepted = 0

    async def __aenter__(self) -> ScriptedEngine:
        self._place = socket.socket()  # keeps the port while nobody listens on it
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self._place.getsockname()[1]}"
        self.url = f"http://{self.name}"
        await self.revive()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await self._server.wait_closed()
        self._place.close()

    async def kill(self) -> None:
        """As a killed process: every connection is reset, and further ones are refused."""
        self._server.close()
        for connection in list(self.connections):
            connection.break_off()
        await self._server.wait_closed()

    async def revive(self) -> None:
        """Listen (again), on the same port."""
        loop, port = asyncio.get_running_loop(), self._place.getsockname()[1]
        self._server = await loop.create_server(
            lambda: _Connection(self), "127.0.0.1", port, reuse_port=True
        )

    @property
    def open_connections(self) -> int:
        """Number of connected clients."""
        return len(self.connections)

    async def until_closed(self, limit_s: float = 1) -> None:
        """Return when no client is connected."""
        await until(lambda: not self.connections, limit_s)

    def next_script(self, request: Request) -> Sequence[Step]:
        """The steps that answer `request`."""
        if request.path == "/v1/models":
            self.questions += 1
            return refusal(404, b"") if self.models is None else refusal(200, self.models)
        if request.method == "GET":
            self.probes += 1
            return [Sleep()] if self.frozen else [Sleep(self.pause_s), *refusal(self.health, b"")]
        self.requests.append(request)
        return self._scripts.pop(0) if self._scripts else completion(self.good)
