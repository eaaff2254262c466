# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""What graphs need of a device: a stream of its own, pinned memory, events, capture."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor

Replay = Callable[[], object]


class Event(Protocol):
    """A mark in a stream."""

    def record(self) -> None:
        """Set the mark behind all that the current stream has been given."""
        ...

    def synchronize(self) -> None:
        """Sleep until the device has reached the mark."""
        ...


class Accelerator(Protocol):
    """A device whose calls return before they are done."""

    @property
    def device(self) -> torch.device: ...

    def stream(self) -> AbstractContextManager[object]:
        """Everything within goes to the one stream of this accelerator."""
        ...

    def pinned(self, size: int, dtype: torch.dtype) -> Tensor:
        """Host memory that copies reach without stopping."""
        ...

    def event(self) -> Event:
        """A mark that has not been set."""
        ...

    def capture(self, run: Callable[[], None]) -> Replay:
        """Record what `run` does on the stream, whose memory stays its own; the function does it again."""
        ...

    def settle(self) -> None:
        """Wait for the device and give unused memory back."""
        ...

    def memory_bytes(self) -> int:
        """Device memory that this process holds."""
        ...


class Cuda:
    """A CUDA device. All captures share one pool of memory, so only one graph may run at a time: one stream."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._stream = torch.cuda.Stream(self.device)
        self._pool = torch.cuda.graph_pool_handle()

    def stream(self) -> AbstractContextManager[object]:
        """See `Accelerator.stream`."""
        return torch.cuda.stream(self._stream)

    def pinned(self, size: int, dtype: torch.dtype) -> Tensor:
        """See `Accelerator.pinned`."""
        return torch.zeros(size, dtype=dtype, pin_memory=True)

    def event(self) -> Event:
        """An event whose waiter sleeps: a spinning one would take a core from the event loop."""
        return torch.cuda.Event(blocking=True)

    def capture(self, run: Callable[[], None]) -> Replay:
        """See `Accelerator.capture`. Other threads may copy meanwhile: the capture is this thread's alone."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(
            graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"
        ):
            run()
        return graph.replay

    def settle(self) -> None:
        """See `Accelerator.settle`."""
        torch.cuda.synchronize(self.device)
        torch.cuda.empty_cache()

    def memory_bytes(self) -> int:
        """See `Accelerator.memory_bytes`."""
        return torch.cuda.memory_reserved(self.device)
