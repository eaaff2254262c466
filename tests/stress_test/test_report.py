"""The wording and figures of reports."""

from __future__ import annotations

import pytest

from stress_test.figures import Figures, LoadTiming, Spread
from stress_test.generator import Timing
from stress_test.outcome import Outcome
from stress_test.processes import Run
from stress_test.report import report
from tests.stress_test.outcomes import completed, failed

PUBLISHED = """\
=== SLO LATENCY REPORT ===
Total Requests: 4
Min Time: 1.000s
Max Time: 4.000s
Avg Time: 2.500s
P50 (Median): 2.500s
P90: 3.700s
P95: 3.850s
P99: 3.970s

=== AUDIO & REAL-TIME FACTOR (RTF) REPORT ===
Avg Audio Duration: 5.000s

--- RTF Percentiles ---
Min RTF: 0.200s
Max RTF: 0.800s
Avg RTF: 0.500
P50 RTF: 0.500
P90 RTF: 0.740
P95 RTF: 0.770
P99 RTF: 0.794
==========================
"""
OURS = """
=== STREAMING REPORT ===
Answered: 4, Failed: 0, in 4.000s

--- Time To First Audio (TTFA) ---
Min TTFA: 0.100s
Max TTFA: 0.400s
Avg TTFA: 0.250s
P50 TTFA: 0.250s
P90 TTFA: 0.370s
P95 TTFA: 0.385s
P99 TTFA: 0.397s

--- Playback ---
Throughput: 5.00 audio-seconds per second
Answers Per Second: 1.00
Underruns Per Stream: 0.500 (1 of 4 streams, 0.250s)
Steps In The Signal: 3, of them at seams: 1
Silences Over 1s: 1 (1.500s)

--- Load Generator ---
Late Starts: 0 (worst 2.0ms)
Event Loop Lag P95: 3.0ms, CPU: 25% of a core
=========================="""


def of(*outcomes: Outcome, lag_ms: float = 3.0) -> Figures:
    took_s = max((outcome.due_s + outcome.latency_s for outcome in outcomes), default=0.0)
    return Figures.of(Run(outcomes, (Timing(lag_ms, 5.0, 0.25), Timing(1.0, 2.0, 0.125)), took_s))


def test_the_report_is_word_for_word() -> None:
    outcomes = [
        completed(latency_s=3.0, first_audio_s=0.3, underruns=2, underrun_s=0.25),
        completed(latency_s=1.0, first_audio_s=0.1, steps=3, seam_steps=1),
        completed(latency_s=4.0, first_audio_s=0.4, late_s=0.002),
        completed(latency_s=2.0, first_audio_s=0.2, silences=1, silence_s=1.5),
    ]
    assert report(of(*outcomes)) == PUBLISHED + OURS


def test_failures_are_counted_and_never_averaged() -> None:
    refused = [
        failed("status 502 engine_failed"),
        failed("status 502 engine_failed"),
        failed("timed out"),
    ]
    text = report(of(completed(latency_s=2.0, audio_s=4.0), *refused))
    assert "Total Requests: 4\nMin Time: 2.000s" in text
    assert "Avg Audio Duration: 4.000s" in text
    assert "Answered: 1, Failed: 3" in text
    assert "--- Errors ---\nstatus 502 engine_failed: 2\ntimed out: 1\n" in text


def test_a_server_that_refused_carries_less_than_the_load() -> None:
    refused = [failed("status 429 overloaded")] * 2
    text = report(of(completed(), *refused, failed("timed out")))
    assert "exceeds the server's capacity:\n1 requests answered, 2 rejected with 429.\n" in text
    assert "exceeds the server's capacity" not in report(of(completed(), failed("timed out")))


def test_nothing_but_failures_has_no_figures() -> None:
    text = report(of(failed("connection refused")))
    assert "Min Time" not in text
    assert "TTFA" not in text
    assert "connection refused: 1" in text


def test_steps_that_a_format_hides_are_not_none_found() -> None:
    text = report(of(completed(steps=None, seam_steps=None)))
    assert "Steps In The Signal: not visible in this format" in text


def test_percentiles_interpolate() -> None:
    assert Spread.of([float(value) for value in range(101)]) == Spread(0, 100, 50, 50, 90, 95, 99)


@pytest.mark.parametrize(
    ("late_s", "lag_ms", "believable"),
    [(0.0, 3.0, True), (0.009, 20.0, True), (0.011, 3.0, False), (0.0, 21.0, False)],
)
def test_a_load_that_was_late_itself_says_so(
    late_s: float, lag_ms: float, believable: bool
) -> None:
    figures = of(completed(late_s=late_s), lag_ms=lag_ms)
    assert figures.generator == LoadTiming(
        int(late_s > 0.01), late_s * 1000, lag_ms, 0.25, believable
    )
    assert ("The load generator was too slow" in report(figures)) is not believable
