"""Figures of a run. Failed requests are counted but excluded from all other figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stress_test.outcome import Completed, Failed, Outcome
from stress_test.percentile import percentile
from stress_test.processes import Run

LATE_START_S = 0.01  # delay after which a request counts as a late start
MAX_LATE_SHARE = 0.05  # share of late starts above which the load generator was too slow
MAX_LAG_MS = 20.0  # event loop lag above which the load generator was too slow


@dataclass(frozen=True, slots=True)
class Spread:
    """Distribution of values; percentiles interpolate linearly, which is numpy's default."""

    min: float
    max: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one or more values."""
        percentiles = (percentile(values, percent) for percent in (50, 90, 95, 99))
        return cls(min(values), max(values), float(np.mean(values)), *percentiles)


@dataclass(frozen=True, slots=True)
class AnswerFigures:
    """Totals of the answered requests, in seconds unless named otherwise.

    Steps are None if the format does not keep the samples exactly.
    """

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
    def of(cls, completed: Sequence[Completed], took_s: float) -> AnswerFigures:
        """Summarise one or more answers of a run that took `took_s`."""
        audio_s = sum(outcome.audio_s for outcome in completed)
        return cls(
            latency=Spread.of([outcome.latency_s for outcome in completed]),
            first_audio=Spread.of([outcome.first_audio_s for outcome in completed]),
            real_time_factor=Spread.of([outcome.real_time_factor for outcome in completed]),
            audio_s_mean=audio_s / len(completed),
            audio_s_per_s=audio_s / took_s,
            answers_per_s=len(completed) / took_s,
            underrun_streams=sum(outcome.underruns > 0 for outcome in completed),
            underruns=sum(outcome.underruns for outcome in completed),
            underrun_s=sum(outcome.underrun_s for outcome in completed),
            steps=_sum([outcome.steps for outcome in completed]),
            seam_steps=_sum([outcome.seam_steps for outcome in completed]),
            silences=sum(outcome.silences for outcome in completed),
            silence_s=sum(outcome.silence_s for outcome in completed),
        )


@dataclass(frozen=True, slots=True)
class LoadTiming:
    """Timing of the load generator; `believable` is False if it was too slow for valid figures.

    Only an open loop can start late. Event loop lag delays the timestamps of every load.
    """

    late_starts: int
    latest_start_ms: float
    lag_ms_p95: float
    cpu_share_max: float
    believable: bool

    @classmethod
    def of(cls, run: Run) -> LoadTiming:
        """Summarise the requests and processes of a run."""
        late_s = [outcome.late_s for outcome in run.outcomes]
        late_starts = sum(seconds > LATE_START_S for seconds in late_s)
        lag_ms = max((timing.lag_ms_p95 for timing in run.timings), default=0.0)
        cpu_share = max((timing.cpu_share for timing in run.timings), default=0.0)
        believable = late_starts <= MAX_LATE_SHARE * len(late_s) and lag_ms <= MAX_LAG_MS
        return cls(
            late_starts, round(max(late_s, default=0.0) * 1000, 1), lag_ms, cpu_share, believable
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a report; `heard` is None if no request was answered."""

    requests: int
    failed: int
    took_s: float
    errors: dict[str, int]
    heard: AnswerFigures | None
    generator: LoadTiming

    @classmethod
    def of(cls, run: Run) -> Figures:
        """Compute the figures of a run."""
        completed = [outcome for outcome in run.outcomes if isinstance(outcome, Completed)]
        errors = count_errors(run.outcomes)
        heard = AnswerFigures.of(completed, run.took_s) if completed else None
        failed = sum(errors.values())
        return cls(len(run.outcomes), failed, run.took_s, errors, heard, LoadTiming.of(run))


def count_errors(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the failures of each kind, most frequent first."""
    return dict(
        Counter(outcome.error for outcome in outcomes if isinstance(outcome, Failed)).most_common()
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
