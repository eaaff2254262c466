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
from app.api.middleware.access_log import add_log_fields, log_fields
from app.api.middleware.api_keys import key_number_of
from app.api.middleware.request_id import request_id_of
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
        add_log_fields(scope, format=output_format.format, delivery=output_format.delivery)
        sink = SINKS[output_format.delivery](
            send, receive, self._audio_headers(), output_format.write_limit_s
        )
        key, whole = key_number_of(scope), output_format.delivery == "whole"
        try:
            with self._records.track(
                request_id_of(scope), key, self._expected_s, self._speed
            ) as progress:
                async with self._admission.slot(key, None if whole else progress, sink.gone):
                    try:
                        stats = await self._speak(sink, progress)
                        observe_success(stats, whole=whole)
                        add_log_fields(scope, finish_reason=stats.finish_reason)
                    finally:
                        add_log_fields(scope, **response_fields(progress.spoken(), whole=whole))
        except ServiceError as exc:
            metrics.REQUESTS.labels(exc.code).inc()
            add_log_fields(scope, error=exc.code, reason=exc.message)
            await _fail(exc, sink, scope, receive, send)
        except ClientGone as exc:
            metrics.REQUESTS.labels("cancelled").inc()
            # Keep the reason the server logged when it closed the connection.
            add_log_fields(scope, **{"error": "cancelled", "reason": str(exc), **log_fields(scope)})
            abort(scope)
            raise ResponseBroken(str(exc)) from exc
        except asyncio.CancelledError:
            metrics.REQUESTS.labels("cancelled").inc()
            add_log_fields(scope, error="cut_off", reason="cancelled at shutdown")
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


def response_fields(stats: SynthesisStats, *, whole: bool) -> dict[str, float]:
    """Return the log fields of a response, complete or not.

    A whole body sends its first audio at its end.
    """
    first_audio_s = stats.total_s if whole else stats.first_audio_s
    told = {"first_audio_s": round(first_audio_s, 4), "retries": stats.retries}
    audio = {"audio_s": round(stats.audio_s, 3), "codec_tokens": stats.codec_tokens}
    return audio | {name: value for name, value in told.items() if value}


def abort(scope: Scope) -> None:
    """Close the connection without sending its buffer, if app.server.http_protocol runs it."""
    close: Callable[[], None] | None = scope.get("extensions", {}).get("speech.abort")
    if close is not None:
        close()
