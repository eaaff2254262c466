"""What FastAPI itself records of requests: their spans, exported as the environment's OTEL_ variables say."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

from app.api.path import is_at

PROBES = ("/health", "/ready", "/metrics")  # asked every few seconds, and of no interest in a trace


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return is_at(scope, PROBES)


# Metrics are Prometheus's (app/metrics.py). FastAPI's log records hold exception texts, which may hold input.
TELEMETRY: TelemetryConfig = {
    "auto_configure": True,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "exclude": _is_probe,
}
