"""Work for the cores of this machine while something is timed, as there is under load."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

SORTED = 100_000  # numbers: about 1 ms a time


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def busy_cores(threads: int) -> Generator[None]:
    """Keep so many threads at work for the length of the block; they hold Python's lock only between two pieces."""
    numbers, over = np.random.default_rng(0).random(SORTED), threading.Event()

    def work() -> None:
        while not over.is_set():
            np.sort(numbers)

    working = [
        threading.Thread(target=work, name=f"busy-{number}", daemon=True)
        for number in range(threads)
    ]
    for thread in working:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in working:
            thread.join()
