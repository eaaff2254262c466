"""Types of the kernels, and the compiler's errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from app.codec.fused.kernels import (
    ELEMENTS,
    CompiledKernels,
    KernelError,
    argument_value,
    compile_cubin,
    type_options,
)
from tests.codec.fused.emulated_kernels import EmulatedKernels, needs_compiler


@pytest.mark.process
@needs_compiler
@pytest.mark.parametrize("dtype", ELEMENTS, ids=str)
def test_conversions_are_torch_s(dtype: torch.dtype, tmp_path: Path) -> None:
    kernels = EmulatedKernels("neucodec.cu", type_options(dtype, None), tmp_path)
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(-(2**31), 2**31, (1 << 20,), generator=generator).to(torch.int32)
    ties = torch.arange(-(2**16), 2**16, dtype=torch.int32) * 0x1000
    values = torch.cat([bits, ties]).view(torch.float32)
    expected = values.to(dtype)
    narrowed = kernels.narrow(values, dtype)
    assert torch.equal(narrowed.isnan(), values.isnan())
    number = ~values.isnan()
    assert torch.equal(narrowed[number], expected[number])
    assert torch.equal(kernels.widen(narrowed)[number], expected.float()[number])


def test_strided_arguments_are_rejected() -> None:
    with pytest.raises(KernelError, match="contiguous"):
        argument_value(torch.zeros(4, 4).t())


def test_torch_without_cuda_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(KernelError, match="without CUDA"):
        compile_cubin("neucodec.cu", [])


def test_a_missing_nvrtc_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "99.1")
    with pytest.raises(KernelError, match=r"libnvrtc\.so\.99"):
        compile_cubin("neucodec.cu", [])


def test_a_cpu_has_no_kernels() -> None:
    with pytest.raises(KernelError, match="cpu is no CUDA device"):
        CompiledKernels("neucodec.cu", [], torch.device("cpu"))
