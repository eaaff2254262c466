"""FFmpeg's threads: none beside the caller's, which work on 20 ms of sound would only wait for."""

from __future__ import annotations

import ctypes
from functools import cache

from av.filter import graph

ONE = 1


@cache
def use_one_thread() -> None:
    """Let FFmpeg count one processor in this process, so that none of its filter graphs starts threads.

    PyAV converts samples for an encoder in a filter graph of its own, whose number of threads cannot be set. By
    default a graph has a thread for each processor, up to 16: 64 answers on 64 cores had 1,180 threads.
    """
    library = ctypes.CDLL(
        graph.__file__
    )  # symbols are looked up in the libraries that it was linked with
    force_count = getattr(library, "av_cpu_force_count", None)
    if force_count is not None:  # absent where FFmpeg is linked without its symbols
        force_count(ONE)
