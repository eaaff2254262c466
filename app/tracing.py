"""OpenTelemetry spans of a request's stages, below the one that FastAPI opens for the request itself.

Nothing is recorded, and next to nothing done, unless an exporter is configured (OTEL_EXPORTER_OTLP_ENDPOINT)
and the request was sampled.
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
_NOTHING: AbstractContextManager[object] = nullcontext()


def export(endpoint: str | None) -> None:
    """Send traces to a collector, once the application is made; None: to none but the environment's own.

    OpenTelemetry reads the environment alone, our settings a `.env` file too.
    """
    if endpoint:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        os.environ.setdefault("OTEL_SERVICE_NAME", "speech-server")


def traced() -> bool:
    """Whether the request that this task works for is recorded."""
    return trace.get_current_span().is_recording()


def span(stage: Stage) -> AbstractContextManager[object]:
    """A stage that lasts as long as the block; spans of the block are below it."""
    return _TRACER.start_as_current_span(stage) if traced() else _NOTHING


def record(stage: Stage, begun_s: float, ended_s: float, **attributes: int | float) -> None:
    """A stage that is over; both times are on the clock of time.monotonic()."""
    if not traced():
        return
    offset_ns = time.time_ns() - time.monotonic_ns()
    recorded = _TRACER.start_span(
        stage, start_time=offset_ns + int(begun_s * 1e9), attributes=attributes
    )
    recorded.end(offset_ns + int(ended_s * 1e9))


def event(name: Literal["first_byte"]) -> None:
    """A moment of the request."""
    trace.get_current_span().add_event(name)


def describe(**attributes: str | int | float) -> None:
    """Facts about the request, on its own span; never its text."""
    trace.get_current_span().set_attributes(
        {f"speech.{name}": value for name, value in attributes.items()}
    )


def pass_on(headers: MutableMapping[str, str]) -> None:
    """Add the headers by which another service's spans join this trace."""
    if traced():
        inject(headers)
