"""What torch raises when a device is full or broken, as what the scheduler knows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from app.codec import DeviceLost, OutOfMemory

P = ParamSpec("P")
T = TypeVar("T")

NO_MEMORY = (
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator",
)  # of CUDA, its libraries, and a CPU
BROKEN = ("CUDA error", "cuDNN error", "device-side assert", "illegal memory access")


def translated(call: Callable[P, T]) -> Callable[P, T]:
    """Let a call on a device raise OutOfMemory and DeviceLost for what they stand for; all else as it is."""

    @functools.wraps(call)
    def calling(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except (RuntimeError, MemoryError) as exc:
            fault = _fault(exc)
            if fault is None:
                raise
            if isinstance(fault, DeviceLost):
                raise fault from exc
        # Past the handler torch's exception is gone, and with it the frames that held the batch's tensors.
        _give_back()
        raise fault

    return calling


def _fault(exc: RuntimeError | MemoryError) -> OutOfMemory | DeviceLost | None:
    text = str(exc)
    if isinstance(exc, MemoryError | torch.OutOfMemoryError) or any(
        sign in text for sign in NO_MEMORY
    ):
        return OutOfMemory(text.partition("\n")[0])
    if isinstance(exc, torch.AcceleratorError) or any(sign in text for sign in BROKEN):
        return DeviceLost(text.partition("\n")[0])
    return None


def _give_back() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
