"""The audio response: send the status with the first audio, abort the body on a later error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app import metrics
from app.api.admission import Admission
from app.api.errors import ResponseBroken, error_response
from app.api.history import RequestHistory
from app.api.middleware.api_keys import key_number_of
from app.api.middleware.request_log import request_log_of
from app.api.sinks import ChunkedSink, EventSink, Headers, WholeSink
from app.audio.encoders import MEDIA_TYPES, content_type
from app.errors import Draining, ServiceError
from app.synthesis.attempt import Backend
from app.synthesis.audio_output import ClientGone
from app.synthesis.request import DeliveryMode, OutputOptions, SynthesisRequest
from app.synthesis.stats import SynthesisStats
from app.synthesis.synthesize import Synthesis

SINKS: dict[DeliveryMode, type[ChunkedSink]] = {
    "stream": ChunkedSink,
    "whole": WholeSink,
    "events": EventSink,
}
SSE_TYPE = "text/event-stream"
# Content types for the OpenAPI document.
AUDIO_RESPONSES: dict[str, dict[str, object]] = {kind: {} for kind in (*MEDIA_TYPES, SSE_TYPE)}


class AudioResponse(Response):
    """Admits one request, synthesizes its speech and sends the audio or the error."""

    def __init__(
        self,
        request: SynthesisRequest,
        backend: Backend,
        admission: Admission,
        history: RequestHistory,
        write_limit_s: float,
    ) -> None:
        self._request = request
        self._backend = backend
        self._admission = admission
        self._history = history
        self._write_limit_s = write_limit_s
        self.background = None
        self.status_code = 200

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request. Raises ResponseBroken if it fails after its status was sent."""
        output = self._request.output
        request_log = request_log_of(scope)
        request_log.format = output.format
        request_log.delivery = output.delivery
        sink = SINKS[output.delivery](send, receive, _headers(output), self._write_limit_s)
        key = key_number_of(scope)
        try:
            with self._history.track(request_log.request_id, key) as stats:
                synthesis = Synthesis(self._request, self._backend, sink, stats)
                stream = None if output.whole else synthesis
                async with self._admission.slot(key, stream, sink.gone):
                    try:
                        await synthesis.run()
                        observe_success(stats, whole=output.whole)
                        request_log.finish_reason = stats.finish_reason
                    finally:
                        request_log.add_audio(stats, whole=output.whole)
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


def _headers(output: OutputOptions) -> Headers:
    """Return the headers that describe the audio."""
    audio = content_type(output.format, output.encoding, output.rate_hz)
    headers = {
        "content-type": SSE_TYPE if output.delivery == "events" else audio,
        "x-audio-sample-rate": str(output.rate_hz),
        "x-audio-channels": "1",
        **({"x-audio-bit-depth": str(output.bit_depth)} if output.bit_depth else {}),
        "x-accel-buffering": "no",
        "cache-control": "no-store",
    }
    return [(name.encode(), value.encode()) for name, value in headers.items()]


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
