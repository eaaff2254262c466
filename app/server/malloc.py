"""Limits on memory kept by libraries: glibc's fragmented arenas and oneDNN's primitive cache."""

from __future__ import annotations

import ctypes
import os

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # malloc.h of glibc
MALLOC_ARENAS = 2  # malloc arenas, shared by all threads
MMAP_THRESHOLD_BYTES = 1 << 20  # smallest block that is returned to the system when it is freed
ONEDNN_CACHED_KERNELS = 64  # shapes whose compiled primitives oneDNN keeps
OPERATOR_OVERRIDES = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def limit_allocator_memory() -> None:
    """Limit glibc to two arenas, return freed blocks of 1 MB and more, and shrink oneDNN's cache.

    By default oneDNN caches the primitives of the last 1,024 shapes, and nearly every window of
    speech has its own shape. That is 25 to 40 KB per streamed response, scattered over the arenas,
    which then cannot shrink. After 320 responses of the embedded voice on two cores the process
    held 535 MB; with 128 cached shapes 506 to 513 MB; with 16 cached shapes 484 to 494 MB, at the
    same speed. NeuCodec decoded as fast (2.2 ms a frame). A threshold of 256 KB for freed blocks
    would save 30 MB more but be a third slower.

    Call it before any thread starts and before torch is imported. Variables that the operator has
    set take precedence.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(ONEDNN_CACHED_KERNELS))
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and not any(name in os.environ for name in OPERATOR_OVERRIDES):
        mallopt(M_ARENA_MAX, MALLOC_ARENAS)
        mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
