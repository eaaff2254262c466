"""Audio rate and requests in flight over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

from stress_test.outcome import Completed, Outcome


class TimedAudio(NamedTuple):
    """Time of the request, time of the complete answer, and seconds of audio in it."""

    begin_s: float
    end_s: float
    audio_s: float

    @classmethod
    def of(cls, outcome: Completed) -> Self:
        """Take the times and the audio of an outcome."""
        return cls(outcome.due_s, outcome.due_s + outcome.latency_s, outcome.audio_s)


def audio_rate(answers: Iterable[TimedAudio], begin_s: float, end_s: float) -> float:
    """Return the audio-seconds per second within [begin, end).

    The audio of an answer is distributed evenly over the time from request to last byte.
    """
    within = 0.0
    for answer in answers:
        duration_s = answer.end_s - answer.begin_s
        shared_s = min(end_s, answer.end_s) - max(begin_s, answer.begin_s)
        if duration_s > 0 and shared_s > 0:
            within += answer.audio_s * shared_s / duration_s
    return within / (end_s - begin_s)


def in_flight(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    """Return the number of requests in flight over time as a step function."""
    moments = [(outcome.due_s, 1) for outcome in outcomes]
    moments += [(outcome.due_s + outcome.latency_s, -1) for outcome in outcomes]
    steps, count = [(0.0, 0.0)], 0
    for at_s, change in sorted(moments, key=lambda moment: (moment[0], -moment[1])):
        steps.append((at_s, float(count)))
        count += change
        steps.append((at_s, float(count)))
    return steps
