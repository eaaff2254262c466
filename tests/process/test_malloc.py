"""The allocator's settings, as glibc reports them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from app.server.malloc import MALLOC_ARENAS

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings"),
]

PROGRAM = """
import ctypes, re, sys, threading
from app.server.malloc import limit_allocator_memory
limit_allocator_memory()
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
c.free.argtypes, c.malloc.argtypes = [ctypes.c_void_p], [ctypes.c_size_t]
c.fclose.argtypes, c.malloc_info.argtypes = [ctypes.c_void_p], [ctypes.c_int, ctypes.c_void_p]
all_here = threading.Barrier(8)
def work():
    all_here.wait()
    c.malloc(1000)
    all_here.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
c.free(c.malloc(20_000_000))  # glibc would from now on keep up to so much in its heaps
block = c.malloc(2_000_000)
file = c.fopen(sys.argv[1].encode(), b"w")
c.malloc_info(0, file)
c.fclose(file)
told = open(sys.argv[1]).read()
mapped = re.search(r'type="mmap" count="([0-9]+)"', told[told.rindex("</heap>"):])
print(told.count("<heap "), mapped[1])
"""


def told_of(folder: Path, **environment: str) -> tuple[int, int]:
    """Return the number of heaps of eight threads, and of blocks in mappings of their own."""
    command = [sys.executable, "-c", PROGRAM, str(folder / "info.xml")]
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MALLOC_", "GLIBC_"))
    }
    answer = subprocess.run(
        command, env={**clean, **environment}, capture_output=True, text=True, check=True
    )
    heaps, large = answer.stdout.split()
    return int(heaps), int(large)


def test_threads_share_heaps_and_large_blocks_have_memory_of_their_own(tmp_path: Path) -> None:
    heaps, large = told_of(tmp_path)
    assert heaps <= MALLOC_ARENAS
    assert large >= 1


CACHE = """
import sys
from app.server.malloc import limit_allocator_memory
limit_allocator_memory() if sys.argv[1] == "less" else None
import torch
torch.set_num_threads(1)
weight = torch.zeros(64, 64, 3)
for frames in range(8, 800):
    torch.nn.functional.conv1d(torch.zeros(1, 64, frames), weight)
# Pages; the highest ever would begin with the parent's.
print(open("/proc/self/statm").read().split()[1])
"""


def test_kernels_for_shapes_that_are_past_are_forgotten() -> None:
    def pages(how: str) -> int:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith("ONEDNN_")
        }
        command = [sys.executable, "-c", CACHE, how]
        return int(
            subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout
        )

    assert pages("less") < pages("as ever") - 5_000


def test_what_the_operator_says_of_the_allocator_comes_first(tmp_path: Path) -> None:
    heaps, _ = told_of(tmp_path, MALLOC_ARENA_MAX="5")
    assert MALLOC_ARENAS < heaps <= 5
