"""Configure FastAPI's request traces. The OTEL_ environment variables set their exporter."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

from app.api.paths import path_is_one_of

PROBES = ("/health", "/ready", "/metrics")  # requested every few seconds, of no use in traces


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return path_is_one_of(scope, PROBES)


# Metrics use Prometheus (app/metrics.py). FastAPI's log records contain exception texts, which may
# contain input.
TELEMETRY: TelemetryConfig = {
    "auto_configure": True,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "exclude": _is_probe,
}
