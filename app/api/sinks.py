"""Where an answer's bytes go: a chunked body, one whole body, or server-sent events."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import NoReturn

import orjson
from starlette.types import Message, Receive, Send

from app.api.failure import ResponseBroken
from app.api.presence import disconnected
from app.errors import ServiceError
from app.listener import ClientGone, Spoken
from app.speech.encoders import Encoder
from app.standstill import Limit

Headers = list[tuple[bytes, bytes]]
FINISH_REASON = "x-finish-reason"  # of a whole body: a stream's header leaves before it is known
PIECE_BYTES = (
    65_536  # of one write, so that the write limit measures a client's progress: 1.4 s of pcm
)
BLOCK_BYTES = (
    1 << 20
)  # of a body that is held: large enough for the allocator to give it back at once


class ChunkedSink:
    """Bytes to the client as they are made; the status and the header leave with the first samples."""

    _encoder: Encoder

    def __init__(
        self, send: Send, receive: Receive, headers: Headers, write_limit_s: float
    ) -> None:
        self._send, self._receive, self._headers, self._write_limit_s = (
            send,
            receive,
            headers,
            write_limit_s,
        )
        self.started = False

    def begin(self, encoder: Encoder) -> None:
        """An attempt begins: this encoder makes what is written."""
        self._encoder = encoder

    async def write(self, data: bytes) -> None:
        """Send a chunk; raises ClientGone after the write limit."""
        if not self.started:
            self.started = True
            await self._put(
                {"type": "http.response.start", "status": 200, "headers": self._headers}
            )
            data = self._encoder.header(None) + data
        await self._put_body(data)

    async def finish(self, spoken: Spoken) -> None:
        """End the body."""
        await self._end()

    async def fail(self, error: ServiceError) -> NoReturn:
        """Break the body off, which is how a client sees a failure after the status; raises ResponseBroken."""
        raise ResponseBroken(error.code) from error

    async def gone(self) -> None:
        """Return at the client's disconnect."""
        await disconnected(self._receive)

    async def _end(self) -> None:
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def _put_body(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE_BYTES):
            await self._put(
                {
                    "type": "http.response.body",
                    "body": data[at : at + PIECE_BYTES],
                    "more_body": True,
                }
            )

    async def _put(self, message: Message) -> None:
        await deliver(message, self._send, self._write_limit_s)


class WholeBody:
    """The bytes of one body, held once: they are given out in pieces, each of which is then forgotten."""

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        self._last = bytearray()
        self.size = 0

    def append(self, data: bytes) -> None:
        """Keep bytes."""
        self.size += len(data)
        self._last += data
        if len(self._last) >= BLOCK_BYTES:
            self._blocks.append(bytes(self._last))
            self._last.clear()

    def pieces(self) -> Iterator[bytes]:
        """All bytes in order, at most PIECE_BYTES at a time; the body is empty afterwards."""
        self._blocks.append(bytes(self._last))
        self._last.clear()
        while self._blocks:
            block = memoryview(self._blocks.popleft())
            for at in range(0, len(block), PIECE_BYTES):
                yield bytes(block[at : at + PIECE_BYTES])


class WholeSink(ChunkedSink):
    """One complete body with its length; nothing leaves before everything is known to be good."""

    def begin(self, encoder: Encoder) -> None:
        """An attempt begins, and with it another body."""
        super().begin(encoder)
        self._body = WholeBody()

    async def write(self, data: bytes) -> None:
        """Keep a chunk."""
        self._body.append(data)

    async def finish(self, spoken: Spoken) -> None:
        """Send everything."""
        header = self._encoder.header(self._body.size)
        self.started = True
        known = [
            (b"content-length", str(len(header) + self._body.size).encode()),
            (FINISH_REASON.encode(), spoken.finish_reason.encode()),
        ]
        await self._put(
            {"type": "http.response.start", "status": 200, "headers": [*self._headers, *known]}
        )
        await self._put_body(header)
        for piece in self._body.pieces():
            await self._put_body(piece)
        await self._end()


class EventSink(ChunkedSink):
    """OpenAI's server-sent events: deltas of audio, then one that says the usage, or what went wrong."""

    async def finish(self, spoken: Spoken) -> None:
        """Tell the usage, and end the body."""
        reason = spoken.finish_reason
        await self._tell(
            {"type": "speech.audio.done", "usage": usage(spoken), "finish_reason": reason}
        )
        await self._end()

    async def fail(self, error: ServiceError) -> NoReturn:
        """Say what went wrong, and break off all the same: LiveKit's plugin skips events that it does not know."""
        await self._tell({"type": "speech.audio.error", "error": asdict(error.body())})
        await super().fail(error)

    async def _put_body(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE_BYTES):
            audio = base64.b64encode(data[at : at + PIECE_BYTES]).decode()
            await self._tell({"type": "speech.audio.delta", "audio": audio})

    async def _tell(self, event: dict[str, object]) -> None:
        body = b"data: " + orjson.dumps(event) + b"\n\n"
        await self._put({"type": "http.response.body", "body": body, "more_body": True})


async def deliver(message: Message, send: Send, limit_s: float) -> None:
    """Send, and wait while the client's buffers are full; raises ClientGone where it is not there or does not read."""
    try:
        async with Limit(limit_s):
            await send(message)
    except TimeoutError as exc:
        raise ClientGone("the client did not read within the write timeout") from exc
    except OSError as exc:
        raise ClientGone("the client has disconnected") from exc


def usage(spoken: Spoken) -> dict[str, int]:
    """The tokens of an answer, in OpenAI's words."""
    tokens = spoken.prompt_tokens, spoken.codec_tokens
    return {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}
