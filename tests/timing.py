"""Check for linear time: twice the work takes about twice as long."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

DOUBLINGS = 6  # from the smallest size to the largest
MOST_TIMES = 3  # as long for twice as much; in quadratic time it is four
MIN_LOOP_S = 0.005  # shorter times are not compared
LONG_S = 0.3  # from here on no size may take so many times as long, below it only the largest
TRIES = 5  # of two sizes; the shortest time of each counts


@dataclass(frozen=True, slots=True)
class Repeated:
    """A text of any size: `unit` repeated, at most `times`."""

    unit: str
    times: int
    before: str = ""
    after: str = ""

    def text(self, times: int) -> str:
        """Return the text with this many units."""
        return self.before + self.unit * times + self.after


def assert_linear(work: Callable[[str], object], of: Repeated) -> None:
    """Time the work for texts of doubling length.

    A quadratic rule fails long before the largest. One that is quadratic up to a bound, as within a
    sentence of bounded length, passes.
    """
    smallest = max(1, of.times >> DOUBLINGS)
    texts = [of.text(smallest << doubling) for doubling in range(DOUBLINGS + 1)]
    short_s = _seconds(work, texts[0])
    for short, long in pairwise(texts):
        long_s = _seconds(work, long)
        if long_s >= LONG_S or long is texts[-1]:
            for _ in range(TRIES - 1):
                if long_s < max(MIN_LOOP_S, MOST_TIMES * short_s):
                    break
                short_s = min(short_s, _seconds(work, short))
                long_s = min(long_s, _seconds(work, long))
            assert long_s < max(MIN_LOOP_S, MOST_TIMES * short_s), (
                f"{len(short):,} characters take {short_s:.4f} s, {len(long):,} take {long_s:.4f} s"
            )
        short_s = long_s


def _seconds(work: Callable[[str], object], text: str) -> float:
    """Return the process time of some work, without garbage collection."""
    gc.disable()
    try:
        began_s = time.process_time()
        work(text)
        return time.process_time() - began_s
    finally:
        gc.enable()
