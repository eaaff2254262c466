"""Mapping of torch's errors for a full or broken device to those that the scheduler handles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from app.codec import DeviceLost, OutOfMemory

P = ParamSpec("P")
T = TypeVar("T")

# Parts of the error messages of CUDA, of its libraries and of torch's CPU allocator. cuBLAS and
# cuSPARSE report as "CUDA error".
NO_MEMORY = (
    "out of memory",
    "OUT_OF_MEMORY",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
    "DefaultCPUAllocator",
)
BROKEN = (
    "CUDA error",
    "CUDA driver error",
    "CUDA NVRTC error",
    "cuDNN error",
    "cuDNN Frontend error",
    "cuFFT error",
    "cusolver error",
    "NCCL error",
    "device-side assert",
    "illegal memory access",
)


def map_device_errors(call: Callable[P, T]) -> Callable[P, T]:
    """Decorate a call on a device to raise OutOfMemory and DeviceLost in place of torch's errors.

    Other exceptions pass through unchanged.
    """

    @functools.wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except (RuntimeError, MemoryError) as exc:
            device_error = device_error_for(exc)
            if device_error is None:
                raise
            if isinstance(device_error, DeviceLost):
                raise device_error from exc
        # Outside the handler torch's exception is released, and with it the stack frames that held
        # the tensors of the batch.
        _release_cached_memory()
        raise device_error

    return wrapper


def device_error_for(exc: Exception) -> OutOfMemory | DeviceLost | None:
    """Return the error of the device that torch reports by an exception; None: it is another."""
    text = str(exc)
    first_line = text.partition("\n")[0]
    no_memory = isinstance(exc, MemoryError | torch.OutOfMemoryError)
    if no_memory or any(sign in text for sign in NO_MEMORY):
        return OutOfMemory(first_line)
    if isinstance(exc, torch.AcceleratorError) or any(sign in text for sign in BROKEN):
        return DeviceLost(first_line)
    return None


def _release_cached_memory() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
