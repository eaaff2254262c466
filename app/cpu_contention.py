"""Load for the CPU cores while a decode call is timed."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np

SORTED_NUMBERS = 100_000  # numbers in one sort, which takes about 1 ms


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def busy_cores(threads: int) -> Generator[None]:
    """Keep `threads` threads busy within the block. numpy's sort releases the GIL."""
    numbers = np.random.default_rng(0).random(SORTED_NUMBERS)
    stop = threading.Event()

    def sort_until_stopped() -> None:
        while not stop.is_set():
            np.sort(numbers)

    workers = [
        threading.Thread(target=sort_until_stopped, name=f"busy-{number}", daemon=True)
        for number in range(threads)
    ]
    for thread in workers:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in workers:
            thread.join()
