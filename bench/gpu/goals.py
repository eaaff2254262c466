"""Goals of the service on an H200, compared with the measured values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.gpu.steps import Row

CARD = "H200"
MIN_AUDIO_S_PER_S = 20_000
MAX_FIRST_MS = 0.6
MIN_RATIO_TO_FREE = 0.97
MAX_LISTENERS_COMPARED = 200
MAX_LISTENERS_WITHOUT_UNDERRUN = 100
MEAN_ANSWER_S = 4.9  # see `bench.traffic`

Fields = dict[str, Any]  # JSON
Parts = dict[str, Fields]  # the result of each part; `steps` has the fields of its steps


def goals(parts: Parts) -> dict[str, Row]:
    """Return each goal with its value, and `met`: null if it was not measured on an H200.

    `believable`: false if the machine limited the figures (see `bench.trial`).
    """
    times = steps_of(parts, "neucodec").get("times", {})
    loads = [row for row in steps_of(parts, "service").values() if "underrun_requests" in row]
    compared = [row for row in loads if "ratio_to_free" in row]
    compared = [row for row in compared if listeners(row) <= MAX_LISTENERS_COMPARED]
    heard = [row for row in loads if listeners(row) <= MAX_LISTENERS_WITHOUT_UNDERRUN]
    measured: dict[str, Row] = {
        "neucodec_32x128_audio_s_per_s": {
            "at_least": MIN_AUDIO_S_PER_S,
            "value": times.get("32x128", {}).get("audio_s_per_s"),
        },
        "neucodec_1x64_device_ms": {
            "at_most": MAX_FIRST_MS,
            "value": times.get("1x64", {}).get("device_ms"),
        },
        "service_ratio_to_free_codec": {
            "at_least": MIN_RATIO_TO_FREE,
            "value": min((row["ratio_to_free"] for row in compared), default=None),
            **extent(compared),
        },
        "service_requests_with_underrun": {
            "at_most": 0,
            "value": sum(row["underrun_requests"] for row in heard) if heard else None,
            **extent(heard),
        },
    }
    device = steps_of(parts, "machine").get("versions", {}).get("device", "")
    return {name: {**goal, "met": met(goal, device)} for name, goal in measured.items()}


def met(goal: Fields, device: str) -> bool | None:
    """Return True if the value is within the limit; None without a value or on another card."""
    value = goal["value"]
    if value is None or CARD not in device:
        return None
    return value >= goal["at_least"] if "at_least" in goal else value <= goal["at_most"]


def extent(loads: Sequence[Fields]) -> Row:
    """Return the numbers of listeners of the loads, and whether all figures are believable."""
    return {
        "listeners": sorted(listeners(row) for row in loads),
        "believable": all(row["believable"] for row in loads),
    }


def listeners(load: Fields) -> int:
    """Return the number of clients of a load, or of the sessions that play at the same time."""
    return load["streams"] or round(load["requests_per_s"] * MEAN_ANSWER_S)


def steps_of(parts: Parts, part: str) -> dict[str, Fields]:
    """Return the steps of a part by name; empty if it did not run."""
    return parts.get(part, {}).get("steps", {})
