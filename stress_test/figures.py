"""A run in figures. Failed requests are counted, and are in none of the other figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stress_test.outcome import Failed, Outcome, Spoken
from stress_test.processes import Run

LATE_S = 0.01  # a request that is sent so much later than it was due began late
LATE_SHARE, LAG_MS = (
    0.05,
    20.0,
)  # beyond which the load itself was too slow for its figures to be believed


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie; percentiles interpolate linearly between the two nearest values (numpy's default)."""

    min: float
    max: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        p50, p90, p95, p99 = map(float, np.percentile(values, (50, 90, 95, 99)))
        return cls(min(values), max(values), float(np.mean(values)), p50, p90, p95, p99)


@dataclass(frozen=True, slots=True)
class Heard:
    """The answered requests together; seconds unless named otherwise. Steps are None where the format hides them."""

    latency: Spread
    first_audio: Spread
    real_time_factor: Spread
    audio_s_mean: float
    audio_s_per_s: float
    answers_per_s: float
    underrun_streams: int
    underruns: int
    underrun_s: float
    steps: int | None
    seam_steps: int | None
    silences: int
    silence_s: float

    @classmethod
    def of(cls, spoken: Sequence[Spoken], took_s: float) -> Heard:
        """Of at least one answer, in a run that took so long."""
        audio_s = sum(outcome.audio_s for outcome in spoken)
        return cls(
            latency=Spread.of([outcome.latency_s for outcome in spoken]),
            first_audio=Spread.of([outcome.first_audio_s for outcome in spoken]),
            real_time_factor=Spread.of([outcome.real_time_factor for outcome in spoken]),
            audio_s_mean=audio_s / len(spoken),
            audio_s_per_s=audio_s / took_s,
            answers_per_s=len(spoken) / took_s,
            underrun_streams=sum(outcome.underruns > 0 for outcome in spoken),
            underruns=sum(outcome.underruns for outcome in spoken),
            underrun_s=sum(outcome.underrun_s for outcome in spoken),
            steps=_sum([outcome.steps for outcome in spoken]),
            seam_steps=_sum([outcome.seam_steps for outcome in spoken]),
            silences=sum(outcome.silences for outcome in spoken),
            silence_s=sum(outcome.silence_s for outcome in spoken),
        )


@dataclass(frozen=True, slots=True)
class Punctuality:
    """How well the load kept its own times; `believable` is false where it was what limited the figures.

    Only an open loop has times to be late for; the lag of an event loop delays what any load notes.
    """

    late_starts: int
    latest_start_ms: float
    lag_ms_p95: float
    cpu_share_max: float
    believable: bool

    @classmethod
    def of(cls, run: Run) -> Punctuality:
        """Of a run's requests and processes."""
        late_s = [outcome.late_s for outcome in run.outcomes]
        late_starts = sum(seconds > LATE_S for seconds in late_s)
        lag_ms = max((timing.lag_ms_p95 for timing in run.timings), default=0.0)
        cpu_share = max((timing.cpu_share for timing in run.timings), default=0.0)
        believable = late_starts <= LATE_SHARE * len(late_s) and lag_ms <= LAG_MS
        return cls(
            late_starts, round(max(late_s, default=0.0) * 1000, 1), lag_ms, cpu_share, believable
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that a report says; `heard` is None where nothing was answered."""

    requests: int
    failed: int
    took_s: float
    errors: dict[str, int]
    heard: Heard | None
    generator: Punctuality

    @classmethod
    def of(cls, run: Run) -> Figures:
        """A run's figures."""
        spoken = [outcome for outcome in run.outcomes if isinstance(outcome, Spoken)]
        errors = errors_of(run.outcomes)
        heard = Heard.of(spoken, run.took_s) if spoken else None
        failed = sum(errors.values())
        return cls(len(run.outcomes), failed, run.took_s, errors, heard, Punctuality.of(run))


def errors_of(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many failures there were of each kind, the most frequent first."""
    return dict(
        Counter(outcome.error for outcome in outcomes if isinstance(outcome, Failed)).most_common()
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
