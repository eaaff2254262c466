"""The evaluation of a load's raw measurements."""

from __future__ import annotations

import pytest

from app import metrics
from bench.counters import Counters, FirstWindows
from bench.trial import Row, believable, request_figures
from stress_test.load import Load
from tests.stress_test.outcomes import completed, failed


def test_the_delay_that_was_added_begins_when_the_engine_had_sent_the_codes() -> None:
    load = Load("", texts=("One qb", "Two. qc", "Three qd"))
    outcomes = [
        completed(number=0, due_s=1.0, first_audio_s=0.2),
        completed(number=1, due_s=2.0, first_audio_s=0.5, underruns=2, underrun_s=0.25),
        failed("status 503", number=2, due_s=2.0),
    ]
    row = request_figures(
        load,
        10.0,
        outcomes,
        {"first_windows": {"<|a|>jenny: One qb<|b|>": 11.19, "<|a|>jenny: Two. qc<|b|>": 12.4}},
    )
    assert (row["requests"], row["failures"]) == (3, 1)
    assert row["errors"] == {"status 503": 1}
    assert (row["first_audio_ms_p50"], row["first_audio_ms_p99"]) == (350.0, 497.0)
    assert (row["added_ms_p50"], row["added_ms_p99"]) == (55.0, 99.1)
    assert (row["rtf_p50"], row["rtf_p99"]) == (0.2, 0.2)
    assert (row["underrun_requests"], row["gaps_per_request"], row["silence_s"]) == (1, 1.0, 0.25)


KEPT_UP: Row = {"engine_late_share": 0.0, "client_lag_ms_p99": 1.0, "machine_busy_share": 0.4}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"engine_late_share": 0.2}, False),
        ({"client_lag_ms_p99": 30}, False),
        ({"machine_busy_share": 0.95}, False),
    ],
)
def test_figures_of_a_starved_machine_are_not_believed(change: Row, expected: bool) -> None:
    assert believable(KEPT_UP | change) is expected


def test_first_windows_are_recorded_and_still_observed() -> None:
    windows, observe = FirstWindows(), metrics.FIRST_WINDOW.observe
    before = Counters.now()
    with windows.recorded():
        for amount_s in (0.002, 0.004, 0.009):
            metrics.FIRST_WINDOW.observe(amount_s)
    after = Counters.now()
    assert metrics.FIRST_WINDOW.observe == observe
    metrics.FIRST_WINDOW.observe(5.0)
    expected = {"first_window_ms_p50": 4.0, "first_window_ms_p99": 8.9}
    assert windows.row(before.clock_s, after.clock_s + 1e-3) == pytest.approx(expected)


def test_counters_are_differences() -> None:
    before = Counters.now()
    metrics.DECODE_BATCH.observe(3)
    metrics.DECODE_BATCH.observe(5)
    added = Counters.now().since(before)
    assert (added.calls, added.windows) == (2, 8)
    assert added.clock_s > 0
    assert added.row()["mean_batch"] == 4
