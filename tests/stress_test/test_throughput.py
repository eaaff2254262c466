"""Answers over time."""

from __future__ import annotations

import pytest

from stress_test.throughput import Answered, audio_rate, in_flight
from tests.stress_test.outcomes import failed, spoken


def test_an_answer_counts_in_proportion_to_the_time_that_it_shares() -> None:
    answers = [
        Answered(0, 2, 8),
        Answered(1, 5, 8),
        Answered(9, 12, 6),
        Answered(20, 30, 100),
        Answered(3, 3, 0),
    ]
    assert audio_rate(answers, 1, 11) == pytest.approx((4 + 8 + 4) / 10)


def test_requests_in_flight_are_those_that_are_due_and_not_yet_ended() -> None:
    outcomes = [
        spoken(due_s=0.0, latency_s=2.0),
        spoken(due_s=1.0, latency_s=2.0),
        failed("x", due_s=2.0, latency_s=1.0),
    ]
    steps = in_flight(outcomes)
    assert (
        max(count for _, count in steps) == 3
    )  # at 2 s the third has come and the first not quite gone
    assert steps[-1] == (3.0, 0.0)
    assert [count for at_s, count in steps if at_s == 1.0] == [1.0, 2.0]
