"""The report, in the form that the figures published for this service are written in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stress_test.client import Failed, Outcome, Spoken


@dataclass(frozen=True, slots=True)
class Spread:
    """How values lie; percentiles interpolate linearly between neighbours (numpy's default)."""

    least: float
    most: float
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


def report(outcomes: Sequence[Outcome]) -> str:
    """The whole report: latency, real-time factor, and failures if there were any.

    Total Requests counts every request; the other figures are those of the answered ones.
    """
    spoken = [outcome for outcome in outcomes if isinstance(outcome, Spoken)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    lines = ["=== SLO LATENCY REPORT ===", f"Total Requests: {len(outcomes)}"]
    if spoken:
        lines += [*_latency(spoken), *_real_time_factor(spoken)]
    return "\n".join([*lines, "==========================", *_failures(failed)])


def _latency(spoken: Sequence[Spoken]) -> Iterator[str]:
    spread = Spread.of([outcome.latency_s for outcome in spoken])
    yield f"Min Time: {spread.least:.3f}s"
    yield f"Max Time: {spread.most:.3f}s"
    yield f"Avg Time: {spread.mean:.3f}s"
    yield f"P50 (Median): {spread.p50:.3f}s"
    yield f"P90: {spread.p90:.3f}s"
    yield f"P95: {spread.p95:.3f}s"
    yield f"P99: {spread.p99:.3f}s"


def _real_time_factor(spoken: Sequence[Spoken]) -> Iterator[str]:
    """The published reports write an "s" after the least and the greatest factor; so does this one."""
    spread = Spread.of([outcome.real_time_factor for outcome in spoken])
    yield "\n=== AUDIO & REAL-TIME FACTOR (RTF) REPORT ==="
    yield f"Avg Audio Duration: {np.mean([outcome.audio_s for outcome in spoken]):.3f}s"
    yield "\n--- RTF Percentiles ---"
    yield f"Min RTF: {spread.least:.3f}s"
    yield f"Max RTF: {spread.most:.3f}s"
    yield f"Avg RTF: {spread.mean:.3f}"
    yield f"P50 RTF: {spread.p50:.3f}"
    yield f"P90 RTF: {spread.p90:.3f}"
    yield f"P95 RTF: {spread.p95:.3f}"
    yield f"P99 RTF: {spread.p99:.3f}"


def _failures(failed: Sequence[Failed]) -> Iterator[str]:
    if failed:
        yield f"\nFailed Requests: {len(failed)}"
    for reason, count in Counter(outcome.reason for outcome in failed).most_common():
        yield f"  {reason}: {count}"
