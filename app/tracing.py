"""OpenTelemetry spans of a request's stages, as children of the request span that FastAPI opens.

Spans are recorded only if an exporter is configured (OTEL_EXPORTER_OTLP_ENDPOINT) and the request
is sampled. Otherwise these functions cost next to nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

from opentelemetry import trace
from opentelemetry.propagate import inject

Stage = Literal[
    "normalise", "engine", "engine.connect", "engine.first_token", "decode.wait", "decode"
]

_TRACER = trace.get_tracer("speech-server")
_NO_SPAN: AbstractContextManager[object] = nullcontext()


def export(endpoint: str | None) -> None:
    """Set the collector's endpoint for OpenTelemetry, which reads the environment but not `.env`.

    Call it before the application is created. Variables that are already set take precedence.
    """
    if endpoint:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        os.environ.setdefault("OTEL_SERVICE_NAME", "speech-server")


def traced() -> bool:
    """Return True if this task's request is recorded."""
    return trace.get_current_span().is_recording()


def span(stage: Stage) -> AbstractContextManager[object]:
    """Open a span for the duration of the block; spans opened within are its children."""
    return _TRACER.start_as_current_span(stage) if traced() else _NO_SPAN


def record(stage: Stage, started_s: float, ended_s: float, **attributes: int | float) -> None:
    """Record a span of a finished stage; both times are of time.monotonic()."""
    if not traced():
        return
    offset_ns = time.time_ns() - time.monotonic_ns()
    recorded = _TRACER.start_span(
        stage, start_time=offset_ns + int(started_s * 1e9), attributes=attributes
    )
    recorded.end(offset_ns + int(ended_s * 1e9))


def event(name: Literal["first_byte"]) -> None:
    """Add an event to the request's span."""
    trace.get_current_span().add_event(name)


def describe(**attributes: str | int | float) -> None:
    """Set attributes on the current span; never pass the request's text."""
    trace.get_current_span().set_attributes(
        {f"speech.{name}": value for name, value in attributes.items()}
    )


def add_headers(headers: MutableMapping[str, str]) -> None:
    """Add the trace headers, so that another service's spans join this trace."""
    if traced():
        inject(headers)
