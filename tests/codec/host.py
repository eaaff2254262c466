"""A CPU in place of an accelerator: work is done when the call returns."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from app.codec.cuda import Event, Replay

# A list or an array that becomes a tensor, and a tensor that becomes a number: a CUDA capture
# allows neither.
FROM_HOST = ("aten.lift_fresh", "aten.item", "aten._local_scalar_dense")


class CaptureRules(TorchDispatchMode):
    """Refuses operations that a CUDA graph cannot hold, in the words of torch."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        if str(func).startswith(FROM_HOST):
            raise RuntimeError("Cannot copy between CPU and CUDA tensors during CUDA graph capture")
        return func(*args, **(kwargs or {}))


class Reached:
    """An event on such a device."""

    def record(self) -> None:
        """Nothing is under way."""

    def synchronize(self) -> None:
        """It is there."""


class Host:
    """An `Accelerator` whose captures are their functions, called again; it remembers which were.

    A capture follows the rules of CUDA's (`CaptureRules`).
    """

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def stream(self) -> AbstractContextManager[object]:
        return contextlib.nullcontext()

    def pinned(self, size: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(size, dtype=dtype)

    def event(self) -> Event:
        return Reached()

    def warm_up(self, run: Callable[[], None]) -> None:
        run()

    def capture(self, run: Callable[[], None]) -> Replay:
        self.captured += 1
        with CaptureRules():
            run()

        def replay() -> None:
            self.replayed += 1
            run()

        return replay

    def synchronize(self) -> None:
        """Nothing is under way."""

    def memory_bytes(self) -> int:
        return 1_000_000
