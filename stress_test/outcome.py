"""Outcome of one request.

Times count from the due time of the request, so that a late start is included.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import cast

RETRY_PAUSE_S = 1.0  # pause of a client after a failed request


@dataclass(frozen=True, slots=True)
class Completed:
    """A request that was answered completely, with sound."""

    number: int
    due_s: float  # after the start of the load
    late_s: float  # from the due time to the sending
    first_audio_s: float  # until the first bytes of samples
    latency_s: float  # until the last byte
    audio_s: float
    underruns: int
    underrun_s: float
    steps: int | None  # jumps in the signal; None: not searched, or not kept by the format
    seam_steps: int | None  # steps at the boundary of two chunks
    silences: int  # silences over 1 s within the speech
    silence_s: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of latency per second of audio; below 1 is faster than real time."""
        return self.latency_s / self.audio_s

    @property
    def next_s(self) -> float:
        """End of playback in real time, in seconds after the start of the load."""
        return self.due_s + self.first_audio_s + self.audio_s + self.underrun_s


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that was rejected, aborted, or answered without sound."""

    number: int
    due_s: float
    late_s: float
    latency_s: float  # until the failure
    error: str  # kind of the failure, by which reports count

    @property
    def next_s(self) -> float:
        """Time of the next request of this client, in seconds after the start of the load."""
        return self.due_s + self.latency_s + RETRY_PAUSE_S


Outcome = Completed | Failed


def to_json(outcome: Outcome) -> dict[str, object]:
    """Return the fields of an outcome; only a failed one has `error`."""
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in asdict(outcome).items()
    }


def from_json(values: dict[str, object]) -> Outcome:
    """Read the output of `to_json`; raises TypeError if the fields are not those of an outcome."""
    kind = Failed if "error" in values else Completed
    if set(values) != {field.name for field in fields(kind)}:
        raise TypeError("not the fields of an outcome")
    return kind(**cast(dict[str, float], values))  # type: ignore[arg-type]
