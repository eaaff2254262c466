"""A WebSocket's way to the client: messages and sound, each within the write limit."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import orjson
from starlette.types import Message, Send

from app.api.response import AudioAnswer
from app.api.sinks import PIECE_BYTES, deliver, usage
from app.errors import ServiceError
from app.listener import Spoken
from app.speech.encoders import UNCOMPRESSED, Encoder

IDLE, REFUSED, BROKEN, RESTARTING = 1000, 1008, 1011, 1012  # close codes, RFC 6455 and its registry


class Line:
    """Sends until it is closed; what comes later is dropped."""

    def __init__(self, send: Send, write_limit_s: float) -> None:
        self._send, self._write_limit_s = send, write_limit_s
        self._closed = False

    async def tell(self, kind: str, **fields: object) -> None:
        """Send a message in JSON; raises ClientGone as `_put` does."""
        await self._put(
            {"type": "websocket.send", "text": orjson.dumps({"type": kind, **fields}).decode()}
        )

    async def tell_error(self, error: ServiceError, **fields: object) -> None:
        """Send what went wrong; after a failure of the server's the connection is closed."""
        await self.tell("error", error=asdict(error.body()), **fields)
        if error.status >= 500:
            await self.close(BROKEN, error.code)

    async def sound(self, data: bytes) -> None:
        """Send audio, in pieces by which a client's progress can be measured."""
        for at in range(0, len(data), PIECE_BYTES):
            await self._put({"type": "websocket.send", "bytes": data[at : at + PIECE_BYTES]})

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        await self._put({"type": "websocket.close", "code": code, "reason": reason})
        self._closed = True

    async def _put(self, message: Message) -> None:
        """Raises ClientGone where nobody takes it."""
        if not self._closed:
            await deliver(message, self._send, self._write_limit_s)


class WebSocketSink:
    """The sound of one utterance: `started` with the first samples, `done` after the last."""

    _encoder: Encoder

    def __init__(self, line: Line, answer: AudioAnswer, utterance: int, name: str) -> None:
        """`utterance` counts those of the connection; `name` is its own, as a request's id."""
        self._line, self._answer, self._utterance, self._name = line, answer, utterance, name
        self.started = False

    def begin(self, encoder: Encoder) -> None:
        """An attempt begins: this encoder makes what is written."""
        self._encoder = encoder

    async def write(self, data: bytes) -> None:
        """Send bytes that hold samples; raises ClientGone."""
        if not self.started:
            self.started = True
            await self._line.tell(
                "started", utterance=self._utterance, request_id=self._name, **self._format()
            )
            data = self._encoder.header(None) + data
        await self._line.sound(data)

    async def finish(self, spoken: Spoken) -> None:
        """Say that this was all."""
        seconds = round(spoken.audio_s, 3)
        said = {
            "usage": usage(spoken),
            "audio_seconds": seconds,
            "finish_reason": spoken.finish_reason,
        }
        await self._line.tell("done", utterance=self._utterance, **said)

    async def gone(self) -> None:
        """Never return: the connection reads its client's messages, and cancels its utterances when it leaves."""
        await asyncio.get_running_loop().create_future()

    def _format(self) -> dict[str, object]:
        answer = self._answer
        depth = {} if answer.bit_depth is None else {"bit_depth": answer.bit_depth}
        encoding = {"encoding": answer.encoding} if answer.format in UNCOMPRESSED else {}
        return {
            "format": answer.format,
            "sample_rate": answer.sample_rate_hz,
            "channels": 1,
            **depth,
            **encoding,
        }
