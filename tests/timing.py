"""The time of some work, to be compared with that of more of it."""

from __future__ import annotations

import time
from collections.abc import Callable


def least_s(work: Callable[[], object]) -> float:
    """The process's time for some work: the least of three."""
    times: list[float] = []
    for _ in range(3):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)
