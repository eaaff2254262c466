"""Token rate of a batched language model, and the timetable by which a fake engine follows it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_CATCH_UP_S = 0.1  # largest delay that is made up for; the rest is lost, as on a busy GPU


@dataclass(frozen=True, slots=True)
class Pace:
    """A step of N streams takes `step_s + N x stream_s` and gives each stream one token.

    The first token of a stream takes `first_s`.
    """

    step_s: float
    stream_s: float = 0.0
    first_s: float = 0.0

    def of(self, streams: int) -> float:
        """Return the seconds of a step."""
        return self.step_s + streams * self.stream_s


class Timetable:
    """Due times of steps; a step is late if it begins after the next one was due."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._due_s = 0.0
        self._length_s = pace.of(1)
        self.clear()

    def clear(self) -> None:
        """Reset the counts."""
        self.steps = self.late_steps = 0
        self.lost_s = 0.0  # delay that was not made up for

    def resume(self, now_s: float) -> None:
        """Set the due time of the next step to `now_s` after an idle time."""
        self._due_s = now_s

    def step(self, now_s: float, streams: int) -> float:
        """Count a step that begins at `now_s`; return the seconds until the next one is due."""
        behind_s = now_s - self._due_s
        self.steps += 1
        self.late_steps += behind_s > self._length_s
        lost_s = max(0.0, behind_s - MAX_CATCH_UP_S)
        self.lost_s += lost_s
        self._length_s = self._pace.of(streams)
        self._due_s += lost_s + self._length_s
        return max(0.0, self._due_s - now_s)
