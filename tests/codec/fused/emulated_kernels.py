"""The CUDA kernels of `app.codec.fused` on a CPU: the same source, compiled by g++."""

from __future__ import annotations

import ctypes
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from app.codec.fused.kernels import SOURCES, argument_value

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")

HERE = Path(__file__).parent
SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
# For a test of the conversions.
CONVERSIONS = """
extern "C" void narrow(const float* values, Element* elements, int count) {
  for (int i = 0; i < count; i++) elements[i] = to_element(values[i]);
}
extern "C" void widen(const Element* elements, float* values, int count) {
  for (int i = 0; i < count; i++) values[i] = to_float(elements[i]);
}
"""


class EmulatedKernels:
    """A `Launch` that runs the threads of a block in turn, from the first or from the last.

    Without a barrier where one is needed, a thread reads what its neighbours have not written yet
    in one of the two orders.
    """

    def __init__(self, source: str, options: Sequence[str], folder: Path) -> None:
        text = (SOURCES / source).read_text()
        code = f'#include "{source}"\n{CONVERSIONS}' + "".join(
            _runner(name, " ".join(parameters.split()))
            for name, parameters in SIGNATURE.findall(text)
        )
        path, library = folder / "kernels.cpp", folder / "kernels.so"
        path.write_text(code)
        half = ["-mf16c"] if platform.machine() == "x86_64" else []
        command = ["g++", "-std=c++17", "-O1", "-fPIC", "-shared", "-Werror", *half, *options]
        # Its longjmp does not jump to another stack.
        command += [
            "-U_FORTIFY_SOURCE",
            "-include",
            str(HERE / "emulated_kernels.h"),
            f"-I{SOURCES}",
        ]
        subprocess.run([*command, str(path), "-o", str(library)], check=True)
        self.library = ctypes.CDLL(str(library))
        self.backwards = False

    def __call__(
        self, kernel: str, blocks: tuple[int, int], threads: int, *arguments: Tensor | int | None
    ) -> None:
        values = [argument_value(argument) for argument in arguments]
        run = getattr(self.library, f"run_{kernel}")
        if run(*blocks, threads, self.backwards, *values):
            raise AssertionError(f"{kernel}: threads of a block wait at different barriers")

    def narrow(self, values: Tensor, dtype: torch.dtype) -> Tensor:
        """Convert float32 to the type of the products."""
        elements = torch.empty(values.shape, dtype=dtype)
        self.library.narrow(*map(argument_value, (values, elements, values.numel())))
        return elements

    def widen(self, elements: Tensor) -> Tensor:
        """Convert the type of the products to float32."""
        values = torch.empty(elements.shape)
        self.library.widen(*map(argument_value, (elements, values, elements.numel())))
        return values


def _runner(name: str, parameters: str) -> str:
    """Return a function that runs a kernel with its parameters."""
    names = ", ".join(parameter.split()[-1] for parameter in parameters.split(","))
    grid = "int blocks_x, int blocks_y, int threads, int backwards"
    return f"""
extern "C" int run_{name}({grid}, {parameters}) {{
  return emulation::run(blocks_x, blocks_y, threads, backwards, [=] {{ {name}({names}); }});
}}
"""
