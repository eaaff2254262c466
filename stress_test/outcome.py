"""What became of one request. Every moment counts from when the request was due, so that a late start shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import cast

PATIENCE_S = 1.0  # of a client that got no answer and is in no hurry to be refused again


@dataclass(frozen=True, slots=True)
class Spoken:
    """A request that was answered in full, with sound."""

    number: int
    due_s: float  # after the load's beginning
    late_s: float  # sent so much after it was due
    first_audio_s: float  # the first bytes that hold samples
    latency_s: float  # the last byte
    audio_s: float
    underruns: int
    underrun_s: float
    steps: int | None  # jumps in the signal; None: the format does not keep samples as they were
    seam_steps: int | None  # of those, at the join of two chunks
    silences: int  # within the speech, longer than a second
    silence_s: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of waiting per second of audio; below 1 is faster than real time."""
        return self.latency_s / self.audio_s

    @property
    def next_s(self) -> float:
        """When a listener in real time has heard it all, in seconds after the load's beginning."""
        return self.due_s + self.first_audio_s + self.audio_s + self.underrun_s


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that was refused, broken off, or answered without sound."""

    number: int
    due_s: float
    late_s: float
    latency_s: float  # until it was clear
    error: str  # its kind, as reports count it

    @property
    def next_s(self) -> float:
        """When a patient client asks again, in seconds after the load's beginning."""
        return self.due_s + self.latency_s + PATIENCE_S


Outcome = Spoken | Failed


def to_json(outcome: Outcome) -> dict[str, object]:
    """An outcome's fields; a failed one is known by `error`."""
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(outcome).items()
    }


def from_json(values: dict[str, object]) -> Outcome:
    """What `to_json` wrote; raises TypeError for fields that are not an outcome's."""
    kind = Failed if "error" in values else Spoken
    if set(values) != {field.name for field in fields(kind)}:
        raise TypeError("not the fields of an outcome")
    return kind(**cast(dict[str, float], values))  # type: ignore[arg-type]
