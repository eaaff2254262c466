"""Outcomes for tests, with defaults for most fields."""

from __future__ import annotations

from dataclasses import replace

from stress_test.outcome import Completed, Failed

SPOKEN = Completed(
    number=0,
    due_s=0.0,
    late_s=0.0,
    first_audio_s=0.1,
    latency_s=1.0,
    audio_s=5.0,
    underruns=0,
    underrun_s=0.0,
    steps=0,
    seam_steps=0,
    silences=0,
    silence_s=0.0,
)


def completed(**fields: float | None) -> Completed:
    """Return a successful outcome with these fields."""
    return replace(SPOKEN, **fields)  # type: ignore[arg-type]


def failed(error: str, **fields: float) -> Failed:
    """Return a failed outcome with these fields."""
    return replace(Failed(0, 0.0, 0.0, 1.0, error), **fields)  # type: ignore[arg-type]
