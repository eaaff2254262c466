# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Device operations that graphs need: a stream, pinned memory, events, graph capture."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

Replay = Callable[[], object]


class Event(Protocol):
    """A marker in a stream."""

    def record(self) -> None:
        """Place the marker behind all work submitted to the current stream."""
        ...

    def synchronize(self) -> None:
        """Sleep until the device has reached the marker."""
        ...


class Accelerator(Protocol):
    """A device that executes calls asynchronously."""

    @property
    def device(self) -> torch.device: ...

    def stream(self) -> AbstractContextManager[object]:
        """Context within which all work is submitted to the one stream of this accelerator."""
        ...

    def pinned(self, size: int, dtype: torch.dtype) -> Tensor:
        """Allocate page-locked host memory, which asynchronous copies need."""
        ...

    def event(self) -> Event:
        """Create an event that has not been recorded."""
        ...

    def warm_up(self, run: Callable[[], None]) -> None:
        """Run the work of a later capture once, in the memory of the captures.

        The run creates plans, workspaces and compiled kernels, which a capture cannot create.
        """
        ...

    def capture(self, run: Callable[[], None]) -> Replay:
        """Capture the work that `run` submits to the stream; return a function that replays it.

        The captured work keeps its memory.
        """
        ...

    def synchronize(self) -> None:
        """Wait for the device and release unused memory."""
        ...

    def memory_bytes(self) -> int:
        """Device memory taken since this accelerator was created, in bytes."""
        ...


def cuda_error() -> str:
    """Return torch's reason why no CUDA device can be used, such as a driver that is too old."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as exc:  # torch for CPUs fails an assertion
        return str(exc).partition("\n")[0]
    return "no CUDA device is available"


def machine_has_gpu() -> bool:
    """Return True if the machine or the container has an NVIDIA GPU, usable by torch or not."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream of a device.

    A load that is tried again uses it again, because cuBLAS keeps a workspace of 34 MB for each
    stream.
    """
    return torch.cuda.Stream(device)


class Cuda:
    """A CUDA device.

    All captures share one memory pool, so only one graph may run at a time. One stream ensures it.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._stream = _stream(self.device)
        with torch.cuda.device(self.device):
            self._pool = torch.cuda.MemPool()
        self._free_bytes = torch.cuda.mem_get_info(self.device)[0]

    def stream(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self._stream)

    def pinned(self, size: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(size, dtype=dtype, pin_memory=True)

    def event(self) -> Event:
        # Its waiter sleeps; a spinning one would take a core from the event loop.
        return torch.cuda.Event(blocking=True)

    def warm_up(self, run: Callable[[], None]) -> None:
        with self.stream(), torch.cuda.use_mem_pool(self._pool):
            run()

    def capture(self, run: Callable[[], None]) -> Replay:
        # thread_local: the other threads may copy to and from the device during the capture.
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph,
            pool=self._pool.id,  # pyright: ignore[reportArgumentType]  (declared as its own type)
            stream=self._stream,
            capture_error_mode="thread_local",
        ):
            run()
        return graph.replay

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()

    def memory_bytes(self) -> int:
        # torch's allocator does not know the memory of graphs, kernels, cuBLAS and cuDNN. The
        # difference of the device's free memory does, unless another process frees memory.
        taken_bytes = self._free_bytes - torch.cuda.mem_get_info(self.device)[0]
        return max(torch.cuda.memory_reserved(self.device), taken_bytes)
