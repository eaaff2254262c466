"""Answers over time."""

from __future__ import annotations

import pytest

from stress_test.throughput import TimedAudio, audio_rate, in_flight
from tests.stress_test.outcomes import completed, failed


def test_an_answer_counts_in_proportion_to_the_time_that_it_shares() -> None:
    answers = [
        TimedAudio(0, 2, 8),
        TimedAudio(1, 5, 8),
        TimedAudio(9, 12, 6),
        TimedAudio(20, 30, 100),
        TimedAudio(3, 3, 0),
    ]
    assert audio_rate(answers, 1, 11) == pytest.approx((4 + 8 + 4) / 10)


def test_requests_in_flight_are_those_that_are_due_and_not_yet_ended() -> None:
    outcomes = [
        completed(due_s=0.0, latency_s=2.0),
        completed(due_s=1.0, latency_s=2.0),
        failed("x", due_s=2.0, latency_s=1.0),
    ]
    steps = in_flight(outcomes)
    assert (
        max(count for _, count in steps) == 3
    )  # at 2 s the third has come and the first not quite gone
    assert steps[-1] == (3.0, 0.0)
    assert [count for at_s, count in steps if at_s == 1.0] == [1.0, 2.0]
