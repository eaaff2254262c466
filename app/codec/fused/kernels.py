"""Compiling CUDA kernels with NVRTC, which comes with torch, and launching them.

By the C interfaces of NVRTC and of the CUDA driver. torch's own `torch.cuda._compile_kernel` is
private and needs CUDA's headers, which an image without a compiler does not have.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

SOURCES = Path(__file__).parent
HEADER = "elements.cuh"
ELEMENTS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}


class KernelError(Exception):
    """A kernel cannot be compiled, loaded or launched."""


class Launch(Protocol):
    """Launches a kernel on the current stream, with the threads of a block in one dimension.

    Tensors are passed as pointers to their first elements and must be contiguous; None is a null
    pointer.
    """

    def __call__(
        self, kernel: str, blocks: tuple[int, int], threads: int, *arguments: Tensor | int | None
    ) -> None: ...


def type_options(dtype: torch.dtype, int16_steps: float | None) -> list[str]:
    """Return the compiler options for the type of the matrix products and that of the samples.

    `int16_steps`: int16 value of a sample of 1. None: float32 samples.
    """
    options = [f"-DELEMENT={ELEMENTS[dtype]}"]
    return options if int16_steps is None else [*options, f"-DINT16_STEPS={int16_steps!r}f"]


class CompiledKernels:
    """The kernels of a file in this folder on a CUDA device."""

    def __init__(self, source: str, options: Sequence[str], device: torch.device) -> None:
        """Compile the file for the architecture of the device.

        Raises:
            KernelError: NVRTC is missing or rejects the source, or the driver rejects its result.
        """
        if device.type != "cuda":
            raise KernelError(f"{device} is no CUDA device")
        self._device = device
        major, minor = torch.cuda.get_device_capability(device)
        cubin = compile_cubin(source, [*options, f"--gpu-architecture=sm_{major}{minor}"])
        self._driver = _library("libcuda.so.1")
        self._module = c_void_p()
        self._functions: dict[str, c_void_p] = {}
        with torch.cuda.device(device):
            self._check(self._driver.cuModuleLoadData(ctypes.byref(self._module), cubin))

    def __call__(
        self, kernel: str, blocks: tuple[int, int], threads: int, *arguments: Tensor | int | None
    ) -> None:
        values = [argument_value(argument) for argument in arguments]
        pointers = (c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        stream = c_void_p(torch.cuda.current_stream(self._device).cuda_stream)
        grid_and_block = *blocks, 1, threads, 1, 1
        with torch.cuda.device(self._device):  # the driver launches on the current device only
            self._check(
                self._driver.cuLaunchKernel(
                    self._function(kernel), *grid_and_block, 0, stream, pointers, None
                )
            )

    def _function(self, kernel: str) -> c_void_p:
        if kernel not in self._functions:
            function = c_void_p()
            self._check(
                self._driver.cuModuleGetFunction(
                    ctypes.byref(function), self._module, kernel.encode()
                )
            )
            self._functions[kernel] = function
        return self._functions[kernel]

    def _check(self, result: int) -> None:
        if result != 0:
            text = c_char_p()
            self._driver.cuGetErrorString(result, ctypes.byref(text))
            raise KernelError(f"CUDA error {result}: {(text.value or b'unknown').decode()}")


def argument_value(argument: Tensor | int | None) -> c_int | c_void_p:
    """Convert an argument of a kernel to the value that the kernel receives."""
    if isinstance(argument, int):
        return c_int(argument)
    if argument is not None and not argument.is_contiguous():
        raise KernelError(f"an argument has strides {argument.stride()}, is not contiguous")
    return c_void_p(None if argument is None else argument.data_ptr())


def compile_cubin(source: str, options: Sequence[str]) -> bytes:
    """Compile a file of this folder.

    Raises:
        KernelError: NVRTC is missing or rejects the source.
    """
    if torch.version.cuda is None:
        raise KernelError("torch is built without CUDA")
    nvrtc = _library(f"libnvrtc.so.{torch.version.cuda.partition('.')[0]}")
    nvrtc.nvrtcGetErrorString.restype = c_char_p

    def check(result: int) -> None:
        if result != 0:
            raise KernelError(f"NVRTC: {nvrtc.nvrtcGetErrorString(result).decode()}")

    program = c_void_p()
    check(
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program),
            (SOURCES / source).read_bytes(),
            source.encode(),
            1,
            (c_char_p * 1)((SOURCES / HEADER).read_bytes()),
            (c_char_p * 1)(HEADER.encode()),
        )
    )
    try:
        encoded = [option.encode() for option in options]
        if nvrtc.nvrtcCompileProgram(program, len(encoded), (c_char_p * len(encoded))(*encoded)):
            raise KernelError(_output(nvrtc, "ProgramLog", program).rstrip(b"\0").decode())
        return _output(nvrtc, "CUBIN", program)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _output(nvrtc: ctypes.CDLL, name: str, program: c_void_p) -> bytes:
    """Return an output of NVRTC, whose size and contents two functions return."""
    size = c_size_t()
    getattr(nvrtc, f"nvrtcGet{name}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{name}")(program, buffer)
    return buffer.raw


def _library(name: str) -> ctypes.CDLL:
    """Open a library that torch has loaded already."""
    try:
        return ctypes.CDLL(name)
    except OSError as exc:
        raise KernelError(str(exc)) from exc
