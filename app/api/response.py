"""The audio response: its status waits for the first samples, and what breaks after it is seen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app import metrics
from app.api.admission import Admission
from app.api.failure import ResponseBroken, failure_response
from app.errors import ServiceError
from app.listener import ClientGone, Sink
from app.pipeline import Spoken
from app.speech.encoders import Encoder

log = logging.getLogger(__name__)
Headers = list[tuple[bytes, bytes]]
PIECE_BYTES = 65_536  # of one write, so that the write limit measures a client's progress: 1.4 s of pcm


class ChunkedSink:
    """Bytes to the client as they are made; the status and the header leave with the first samples."""

    def __init__(self, send: Send, receive: Receive, headers: Headers, encoder: Encoder, write_limit_s: float) -> None:
        self._send, self._receive, self._headers = send, receive, headers
        self._encoder, self._write_limit_s = encoder, write_limit_s
        self.started = False

    async def write(self, data: bytes) -> None:
        """Send a chunk; raises ClientGone after the write limit."""
        if not self.started:
            self.started = True
            await self._put({"type": "http.response.start", "status": 200, "headers": self._headers})
            data = self._encoder.header(None) + data
        await self._put_body(data)

    async def finish(self) -> None:
        """End the body."""
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def gone(self) -> None:
        """Return at the client's disconnect."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _put_body(self, data: bytes) -> None:
        for at in range(0, len(data), PIECE_BYTES):
            await self._put({"type": "http.response.body", "body": data[at : at + PIECE_BYTES], "more_body": True})

    async def _put(self, message: Message) -> None:
        try:
            async with asyncio.timeout(self._write_limit_s):
                await self._send(message)
        except TimeoutError as exc:
            raise ClientGone("the client does not read: closed at the write limit") from exc


class WholeSink(ChunkedSink):
    """One complete body with its length; nothing leaves before everything is known to be good."""

    def __init__(self, send: Send, receive: Receive, headers: Headers, encoder: Encoder, write_limit_s: float) -> None:
        super().__init__(send, receive, headers, encoder, write_limit_s)
        self._body = bytearray()

    async def write(self, data: bytes) -> None:
        """Keep a chunk."""
        self._body += data

    async def finish(self) -> None:
        """Send everything."""
        body = self._encoder.header(len(self._body)) + bytes(self._body)
        self.started = True
        length = (b"content-length", str(len(body)).encode())
        await self._put({"type": "http.response.start", "status": 200, "headers": [*self._headers, length]})
        await self._put_body(body)
        await super().finish()


@dataclass(frozen=True, slots=True)
class AudioAnswer:
    """What the response needs to know beside the speech itself."""

    content_type: str
    sample_rate_hz: int
    encoder: Encoder
    whole: bool
    write_limit_s: float


class AudioResponse(Response):
    """Speaks when called: admission, synthesis, and the failure of either, on one request."""

    def __init__(
        self, speak: Callable[[Encoder, Sink], Awaitable[Spoken]], answer: AudioAnswer, admission: Admission
    ) -> None:
        self._speak, self._answer, self._admission = speak, answer, admission
        self.background = None
        self.status_code = 200
        self.request_id = uuid4().hex

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request; raises ResponseBroken when it fails after its status has left."""
        answer = self._answer
        sink = (WholeSink if answer.whole else ChunkedSink)(
            send, receive, self._audio_headers(), answer.encoder, answer.write_limit_s
        )
        try:
            with self._admission.slot():
                self._report(await self._speak(answer.encoder, sink))
        except ServiceError as exc:
            metrics.REQUESTS.labels(exc.code).inc()
            log.warning("request %s: %s: %s", self.request_id, exc.code, exc.message)
            if sink.started:
                raise ResponseBroken(exc.code) from exc
            refusal = failure_response(exc)
            refusal.headers["x-request-id"] = self.request_id
            await refusal(scope, receive, send)
        except ClientGone as exc:
            metrics.REQUESTS.labels("cancelled").inc()
            log.info("request %s: %s", self.request_id, exc)
            abort(scope)
            raise ResponseBroken(str(exc)) from exc
        except asyncio.CancelledError:
            metrics.REQUESTS.labels("cancelled").inc()
            log.warning("request %s: cut off at shutdown", self.request_id)
            raise

    def _report(self, spoken: Spoken) -> None:
        metrics.REQUESTS.labels("ok").inc()
        if not self._answer.whole:
            metrics.FIRST_AUDIO.observe(spoken.first_audio_s)
            metrics.FIRST_WINDOW.observe(spoken.first_window_s)
        log.info(
            "request %s: %.2f s of audio from %d codec tokens, first after %.0f ms, all after %.0f ms",
            self.request_id,
            spoken.audio_s,
            spoken.codec_tokens,
            (spoken.total_s if self._answer.whole else spoken.first_audio_s) * 1000,
            spoken.total_s * 1000,
        )

    def _audio_headers(self) -> Headers:
        answer = self._answer
        headers = {
            "content-type": answer.content_type,
            "x-audio-sample-rate": str(answer.sample_rate_hz),
            "x-audio-channels": "1",
            "x-audio-bit-depth": "16",
            "x-accel-buffering": "no",
            "cache-control": "no-store",
            "x-request-id": self.request_id,
        }
        return [(name.encode(), value.encode()) for name, value in headers.items()]


def abort(scope: Scope) -> None:
    """Close the connection at once where the server offers it (see app.server); else it drains first."""
    close: Callable[[], None] | None = scope.get("extensions", {}).get("speech.abort")
    if close is not None:
        close()
