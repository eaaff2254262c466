"""Answers over time: how much audio comes, and how many requests are under way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stress_test.outcome import Outcome


class Answered(NamedTuple):
    """When an answer was asked for, when it was complete, and the seconds of audio in it."""

    begin_s: float
    end_s: float
    audio_s: float


def audio_rate(answers: Iterable[Answered], begin_s: float, end_s: float) -> float:
    """Audio-seconds a second within [begin, end): each answer's spread evenly over the time that it took."""
    within = 0.0
    for answer in answers:
        taken_s = answer.end_s - answer.begin_s
        shared_s = min(end_s, answer.end_s) - max(begin_s, answer.begin_s)
        if taken_s > 0 and shared_s > 0:
            within += answer.audio_s * shared_s / taken_s
    return within / (end_s - begin_s)


def in_flight(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    """A staircase: how many there were from each moment to the next."""
    moments = [(outcome.due_s, 1) for outcome in outcomes]
    moments += [(outcome.due_s + outcome.latency_s, -1) for outcome in outcomes]
    steps, count = [(0.0, 0.0)], 0
    for at_s, change in sorted(moments, key=lambda moment: (moment[0], -moment[1])):
        steps.append((at_s, float(count)))
        count += change
        steps.append((at_s, float(count)))
    return steps
