"""Send messages and audio to a WebSocket client, each within the write timeout."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import orjson
from starlette.types import Message, Send

from app.api.sinks import PIECE_BYTES, deliver, usage
from app.audio.encoders import UNCOMPRESSED
from app.audio.whole_body import WholeBody
from app.errors import ServiceError
from app.synthesis.request import OutputOptions
from app.synthesis.stats import SynthesisStats

# Close codes of RFC 6455 and its IANA registry.
IDLE = 1000
REFUSED = 1008
BROKEN = 1011
RESTARTING = 1012


class WebSocketChannel:
    """Sends messages until it is closed, and drops later ones."""

    def __init__(self, send: Send, write_limit_s: float) -> None:
        self._send, self._write_limit_s = send, write_limit_s
        self._closed = False

    async def send_json(self, kind: str, **fields: object) -> None:
        """Send a JSON message. Raises ClientGone."""
        text = orjson.dumps({"type": kind, **fields}).decode()
        await self._put({"type": "websocket.send", "text": text})

    async def send_error(self, error: ServiceError, **fields: object) -> None:
        """Send an error. Close the connection after a server error (status 500 or higher)."""
        await self.send_json("error", error=asdict(error.body()), **fields)
        if error.status >= 500:
            await self.close(BROKEN, error.code)

    async def send_audio(self, data: bytes) -> None:
        """Send audio in pieces, so that the write timeout measures the client's progress."""
        for at in range(0, len(data), PIECE_BYTES):
            await self._put({"type": "websocket.send", "bytes": data[at : at + PIECE_BYTES]})

    async def close(self, code: int, reason: str) -> None:
        await self._put({"type": "websocket.close", "code": code, "reason": reason})
        self._closed = True

    async def _put(self, message: Message) -> None:
        """Send a message unless closed. Raises ClientGone if the client does not receive it."""
        if not self._closed:
            await deliver(message, self._send, self._write_limit_s)


class WebSocketSink:
    """Sends one utterance: `started` before its first audio, `done` after its last."""

    def __init__(
        self, channel: WebSocketChannel, output: OutputOptions, utterance: int, name: str
    ) -> None:
        """`utterance` is its number on the connection, `name` its request id."""
        self._channel = channel
        self._output = output
        self._utterance = utterance
        self._name = name
        self.started = False

    async def write(self, data: bytes) -> None:
        """Send encoded audio. Raises ClientGone."""
        if not self.started:
            self.started = True
            await self._channel.send_json(
                "started", utterance=self._utterance, request_id=self._name, **self._format()
            )
        await self._channel.send_audio(data)

    async def finish(self, stats: SynthesisStats, body: WholeBody | None) -> None:
        """Send the `done` message with the usage."""
        await self._channel.send_json(
            "done",
            utterance=self._utterance,
            usage=usage(stats),
            audio_seconds=round(stats.audio_s, 3),
            finish_reason=stats.finish_reason,
        )

    async def gone(self) -> None:
        """Wait forever. The connection cancels its utterances when its client disconnects."""
        await asyncio.get_running_loop().create_future()

    def _format(self) -> dict[str, object]:
        output = self._output
        depth = {} if output.bit_depth is None else {"bit_depth": output.bit_depth}
        encoding = {"encoding": output.encoding} if output.format in UNCOMPRESSED else {}
        return {
            "format": output.format,
            "sample_rate": output.rate_hz,
            "channels": 1,
            **depth,
            **encoding,
        }
