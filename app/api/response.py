"""The audio response: send the status with the first audio, abort the body on a later error."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app import metrics
from app.api.admission import Admission
from app.api.errors import ResponseBroken, error_response
from app.api.history import RequestHistory
from app.api.middleware.api_keys import key_number_of
from app.api.middleware.request_log import request_log_of
from app.api.sinks import ChunkedSink, EventSink, Headers, WholeSink
from app.audio.encoders import MEDIA_TYPES, Encoder, content_type
from app.config.types import Encoding, Format
from app.errors import Draining, ServiceError
from app.synthesis.audio_output import ClientGone, Sink, SynthesisStats
from app.synthesis.stats import Progress

DeliveryMode = Literal["stream", "whole", "events"]
SINKS: dict[DeliveryMode, type[ChunkedSink]] = {
    "stream": ChunkedSink,
    "whole": WholeSink,
    "events": EventSink,
}
SSE_TYPE = "text/event-stream"
# Content types for the OpenAPI document.
AUDIO_RESPONSES: dict[str, dict[str, object]] = {kind: {} for kind in (*MEDIA_TYPES, SSE_TYPE)}


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """Format and delivery of the audio in a response."""

    format: Format
    sample_rate_hz: int
    encoding: Encoding
    bit_depth: int | None  # None for a lossy format
    make_encoder: Callable[[], Encoder]
    delivery: DeliveryMode
    write_limit_s: float

    @property
    def headers(self) -> dict[str, str]:
        """Response headers that describe the audio."""
        depth = {} if self.bit_depth is None else {"x-audio-bit-depth": str(self.bit_depth)}
        audio = content_type(self.format, self.encoding, self.sample_rate_hz)
        return {
            "content-type": SSE_TYPE if self.delivery == "events" else audio,
            "x-audio-sample-rate": str(self.sample_rate_hz),
            "x-audio-channels": "1",
            **depth,
            "x-accel-buffering": "no",
            "cache-control": "no-store",
        }


class AudioResponse(Response):
    """Admits one request, synthesizes its speech and sends the audio or the error."""

    def __init__(
        self,
        speak: Callable[[Sink, Progress], Awaitable[SynthesisStats]],
        output_format: OutputFormat,
        admission: Admission,
        history: RequestHistory,
        *,
        expected_s: float = math.inf,
        speed: float = 1.0,
    ) -> None:
        """`expected_s`: duration of the audio at `speed`, estimated from the text."""
        self._speak = speak
        self._output_format = output_format
        self._admission = admission
        self._records = history
        self._expected_s, self._speed = expected_s, speed
        self.background = None
        self.status_code = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request. Raises ResponseBroken if it fails after its status was sent."""
        output_format = self._output_format
        request_log = request_log_of(scope)
        request_log.format = output_format.format
        request_log.delivery = output_format.delivery
        sink = SINKS[output_format.delivery](
            send, receive, self._audio_headers(), output_format.write_limit_s
        )
        key, whole = key_number_of(scope), output_format.delivery == "whole"
        try:
            with self._records.track(
                request_log.request_id, key, self._expected_s, self._speed
            ) as progress:
                async with self._admission.slot(key, None if whole else progress, sink.gone):
                    try:
                        stats = await self._speak(sink, progress)
                        observe_success(stats, whole=whole)
                        request_log.finish_reason = stats.finish_reason
                    finally:
                        request_log.add_audio(progress.spoken(), whole=whole)
        except ServiceError as exc:
            metrics.REQUESTS.labels(exc.code).inc()
            request_log.fail(exc.code, exc.message)
            await _fail(exc, sink, scope, receive, send)
        except ClientGone as exc:
            metrics.REQUESTS.labels("cancelled").inc()
            request_log.fail("cancelled", str(exc))
            abort(scope)
            raise ResponseBroken(str(exc)) from exc
        except asyncio.CancelledError:
            metrics.REQUESTS.labels("cancelled").inc()
            request_log.fail("cut_off", "cancelled at shutdown")
            error = Draining("the server is shutting down", retry_after_s=1)
            await _fail(error, sink, scope, receive, send)
            raise

    def _audio_headers(self) -> Headers:
        return [
            (name.encode(), value.encode()) for name, value in self._output_format.headers.items()
        ]


async def _fail(
    error: ServiceError, sink: ChunkedSink, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send an error response, or raise ResponseBroken if a status was sent already."""
    if sink.started:
        try:
            await sink.fail(error)
        except ClientGone as gone:
            abort(scope)
            raise ResponseBroken(error.code) from gone
    await error_response(error)(scope, receive, send)


def observe_success(stats: SynthesisStats, *, whole: bool) -> None:
    """Count a completed response."""
    metrics.REQUESTS.labels("ok").inc()
    if not whole:
        metrics.FIRST_AUDIO.observe(stats.first_audio_s)
        metrics.FIRST_WINDOW.observe(stats.first_window_s)


def abort(scope: Scope) -> None:
    """Close the connection without sending its buffer, if app.server.http_protocol runs it."""
    close: Callable[[], None] | None = scope.get("extensions", {}).get("speech.abort")
    if close is not None:
        close()
