"""The pace of a language model that serves many streams in one step, and whether a stand-in keeps it."""

from __future__ import annotations

from dataclasses import dataclass

PATIENCE_S = 0.1  # a stand-in that is further behind gives the rest up, as a busy GPU would


@dataclass(frozen=True, slots=True)
class Pace:
    """A step of N streams takes `step_s + N x stream_s`, and gives each a token; the first comes after `first_s`."""

    step_s: float
    stream_s: float = 0.0
    first_s: float = 0.0

    def of(self, streams: int) -> float:
        """Seconds of a step."""
        return self.step_s + streams * self.stream_s


class Timetable:
    """When steps are due, and how many began late: after the next one was due."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._due_s = 0.0
        self._length_s = pace.of(1)
        self.clear()

    def clear(self) -> None:
        """Count from nothing."""
        self.steps = self.late_steps = 0
        self.lost_s = 0.0  # given up: the streams were that much slower than the pace

    def resume(self, now_s: float) -> None:
        """Nothing ran until now."""
        self._due_s = now_s

    def step(self, now_s: float, streams: int) -> float:
        """Count a step that begins now; seconds until the next one is due."""
        behind_s = now_s - self._due_s
        self.steps += 1
        self.late_steps += behind_s > self._length_s
        lost_s = max(0.0, behind_s - PATIENCE_S)
        self.lost_s += lost_s
        self._length_s = self._pace.of(streams)
        self._due_s += lost_s + self._length_s
        return max(0.0, self._due_s - now_s)
