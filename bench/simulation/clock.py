"""Virtual time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Clock:
    """Does what has been planned, in its order, with no time in between. Calling it gives the time in seconds."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._order = itertools.count()
        self._planned: list[tuple[float, int, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self._now_s

    def at(self, when_s: float, action: Callable[[], None]) -> None:
        """Plan an action; of two at the same time the one planned first goes first."""
        heapq.heappush(self._planned, (when_s, next(self._order), action))

    def run(self) -> None:
        """Until nothing is planned any more."""
        while self._planned:
            self._now_s, _, action = heapq.heappop(self._planned)
            action()
