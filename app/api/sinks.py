"""Send audio as a chunked body, as one whole body, or as server-sent events."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import NoReturn

import orjson
from starlette.types import Message, Receive, Send

from app.api.disconnect import wait_for_disconnect
from app.api.errors import ResponseBroken
from app.audio.whole_body import WholeBody
from app.errors import ServiceError
from app.process_time import ProcessTimeout
from app.synthesis.audio_output import ClientGone
from app.synthesis.stats import SynthesisStats

Headers = list[tuple[bytes, bytes]]
# Header of whole bodies. A stream sends its headers before the reason is known.
FINISH_REASON = "x-finish-reason"
# Most bytes of one write (1.4 s of pcm), so that the write timeout measures a client's progress.
PIECE_BYTES = 65_536


class ChunkedSink:
    """Sends bytes as they are made, with the status and the headers before the first of them."""

    def __init__(
        self, send: Send, receive: Receive, headers: Headers, write_limit_s: float
    ) -> None:
        self._send = send
        self._receive = receive
        self._headers = headers
        self._write_limit_s = write_limit_s
        self.started = False

    async def write(self, data: bytes) -> None:
        """Send a chunk. Raises ClientGone after the write timeout."""
        if not self.started:
            self.started = True
            await self._put(
                {"type": "http.response.start", "status": 200, "headers": self._headers}
            )
        await self._put_body(data)

    async def finish(self, stats: SynthesisStats, body: WholeBody | None) -> None:
        """End the body."""
        await self._end()

    async def fail(self, error: ServiceError) -> NoReturn:
        """Abort the body, the only way to report a failure after the status.

        Raises:
            ResponseBroken: always.
        """
        raise ResponseBroken(error.code) from error

    async def gone(self) -> None:
        """Return when the client has disconnected."""
        await wait_for_disconnect(self._receive)

    async def _end(self) -> None:
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def _put_body(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE_BYTES):
            piece = data[at : at + PIECE_BYTES]
            await self._put({"type": "http.response.body", "body": piece, "more_body": True})

    async def _put(self, message: Message) -> None:
        await deliver(message, self._send, self._write_limit_s)


class WholeSink(ChunkedSink):
    """Sends one complete body with its length, after the synthesis has succeeded."""

    async def finish(self, stats: SynthesisStats, body: WholeBody | None) -> None:
        """Send the headers and the body."""
        assert body is not None
        self.started = True
        known = [
            (b"content-length", str(body.size).encode()),
            (FINISH_REASON.encode(), stats.finish_reason.encode()),
        ]
        await self._put(
            {"type": "http.response.start", "status": 200, "headers": [*self._headers, *known]}
        )
        for block in body.blocks():
            await self._put_body(block)
        await self._end()


class EventSink(ChunkedSink):
    """Sends OpenAI's server-sent events: audio deltas, then the usage or an error."""

    async def finish(self, stats: SynthesisStats, body: WholeBody | None) -> None:
        """Send the usage and end the body."""
        await self._send_event(
            {
                "type": "speech.audio.done",
                "usage": usage(stats),
                "finish_reason": stats.finish_reason,
            }
        )
        await self._end()

    async def fail(self, error: ServiceError) -> NoReturn:
        """Send an error event and abort the body.

        The event alone is not enough, because LiveKit's plugin skips unknown events.
        """
        await self._send_event({"type": "speech.audio.error", "error": asdict(error.body())})
        await super().fail(error)

    async def _put_body(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE_BYTES):
            audio = base64.b64encode(data[at : at + PIECE_BYTES]).decode()
            await self._send_event({"type": "speech.audio.delta", "audio": audio})

    async def _send_event(self, event: dict[str, object]) -> None:
        body = b"data: " + orjson.dumps(event) + b"\n\n"
        await self._put({"type": "http.response.body", "body": body, "more_body": True})


async def deliver(message: Message, send: Send, limit_s: float) -> None:
    """Send a message, and wait while the client's buffers are full.

    Raises:
        ClientGone: the client has disconnected, or did not read for `limit_s`.
    """
    try:
        async with ProcessTimeout(limit_s):
            await send(message)
    except TimeoutError as exc:
        raise ClientGone("the client did not read within the write timeout") from exc
    except OSError as exc:
        raise ClientGone("the client has disconnected") from exc


def usage(stats: SynthesisStats) -> dict[str, int]:
    """Return the token counts of a response under OpenAI's names."""
    return {
        "input_tokens": stats.prompt_tokens,
        "output_tokens": stats.codec_tokens,
        "total_tokens": stats.prompt_tokens + stats.codec_tokens,
    }
