"""Goals of the service on an H200, compared with the measured values."""

from __future__ import annotations

from typing import Any

from bench.gpu.steps import Row

CARD = "H200"
MIN_AUDIO_S_PER_S = 20_000
MAX_FIRST_MS = 0.6
MIN_RATIO_TO_FREE = 0.97
MAX_STREAMS_COMPARED = 200
MAX_STREAMS_WITHOUT_UNDERRUN = 100

Parts = dict[str, dict[str, Any]]  # the JSON of each part; `steps` has the fields of its steps


def goals(parts: Parts) -> dict[str, Row]:
    """Return each goal with its value, and `met`: null if it was not measured on an H200."""
    device = step(parts, "machine", "versions").get("device") or ""
    times = step(parts, "neucodec", "times")
    loops = {
        row["streams"]: row
        for row in parts.get("service", {}).get("steps", {}).values()
        if row.get("streams")
    }
    ratios = {
        streams: row["ratio_to_free"]
        for streams, row in loops.items()
        if streams <= MAX_STREAMS_COMPARED
    }
    underruns = {
        streams: row["underrun_requests"]
        for streams, row in loops.items()
        if streams <= MAX_STREAMS_WITHOUT_UNDERRUN
    }
    throughput = times.get("32x128", {}).get("audio_s_per_s")
    first_ms = times.get("1x64", {}).get("device_ms")
    ratio = min(ratios.values(), default=None)
    underrun_requests = sum(underruns.values()) if underruns else None
    compared = {
        "neucodec_32x128_audio_s_per_s": {
            "value": throughput,
            "at_least": MIN_AUDIO_S_PER_S,
            "met": throughput is not None and throughput >= MIN_AUDIO_S_PER_S,
        },
        "neucodec_1x64_device_ms": {
            "value": first_ms,
            "at_most": MAX_FIRST_MS,
            "met": first_ms is not None and first_ms <= MAX_FIRST_MS,
        },
        "service_ratio_to_free_codec": {
            "value": ratio,
            "at_least": MIN_RATIO_TO_FREE,
            "streams": sorted(ratios),
            "met": ratio is not None and ratio >= MIN_RATIO_TO_FREE,
        },
        "service_requests_with_underrun": {
            "value": underrun_requests,
            "at_most": 0,
            "streams": sorted(underruns),
            "met": underrun_requests == 0,
        },
    }
    for goal in compared.values():
        if goal["value"] is None or CARD not in device:
            goal["met"] = None
    return compared


def step(parts: Parts, part: str, name: str) -> dict[str, Any]:
    """Return the fields of a step; empty if it did not run."""
    return parts.get(part, {}).get("steps", {}).get(name, {})
