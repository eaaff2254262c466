"""Memory that libraries would hold on to: glibc's heaps full of holes, oneDNN's kernels for shapes that are past."""

from __future__ import annotations

import ctypes
import os

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # malloc.h of glibc
HEAPS = 2
LARGE_BYTES = 1 << 20
KERNELS = 64
OPERATORS = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def hold_less() -> None:
    """Let all threads share two heaps, give blocks of 1 MB and more back as they are freed, and forget old kernels.

    oneDNN keeps what it made for the last 1,024 shapes, and nearly every window of speech has a shape of its own: 25
    to 40 KB a streamed answer, between which the heaps could not shrink. 320 answers of the embedded voice on two
    cores ended at 535 MB, with 128 kept at 506 to 513, with 16 at 484 to 494, at the same speed; NeuCodec decoded as
    fast (2.2 ms a frame). Of the heaps: blocks of 256 KB and more given back would be 30 MB less, and a third slower.

    Call it before there are threads and before torch is imported. The operator's own variables come first.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and not any(name in os.environ for name in OPERATORS):
        mallopt(M_ARENA_MAX, HEAPS)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
