"""Thread limit for FFmpeg, whose threads would gain nothing on chunks of 20 ms of audio."""

from __future__ import annotations

import ctypes
from functools import cache

from av.filter import graph

ONE = 1


@cache
def use_one_thread() -> None:
    """Make FFmpeg count one processor in this process, so that no filter graph starts threads.

    PyAV converts samples for an encoder in an internal filter graph, whose number of threads cannot
    be set. By default a graph has a thread for each processor, up to 16: 64 responses on 64 cores
    had 1,180 threads.
    """
    # ctypes also finds symbols of the libraries that the module was linked with.
    library = ctypes.CDLL(graph.__file__)
    force_count = getattr(library, "av_cpu_force_count", None)
    if force_count is not None:  # None if FFmpeg was linked without its symbols
        force_count(ONE)
