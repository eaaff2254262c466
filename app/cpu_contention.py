"""Load for the CPU cores while a decode call is timed."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

SORTED = 100_000  # numbers in one sort, which takes about 1 ms


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def busy_cores(threads: int) -> Generator[None]:
    """Keep `threads` threads busy within the block; numpy's sort releases the GIL."""
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
