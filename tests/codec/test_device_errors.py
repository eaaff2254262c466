"""Torch's device errors, translated for the scheduler."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from app.codec import DeviceLost, OutOfMemory, device_errors
from app.codec.device_errors import map_device_errors
from app.codec.eager import EagerCodec
from tests.codec.test_graphs import Host, graphed, window
from tests.fakes import SPEC

FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUSPARSE_STATUS_ALLOC_FAILED when calling `cusparseCreate(handle)`"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate`"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA NVRTC error: NVRTC_ERROR_OUT_OF_MEMORY"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"
    ),
    MemoryError(),
]
LOST = [
    torch.AcceleratorError(
        "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might"
    ),
    torch.AcceleratorError("CUDA error: device-side assert triggered"),
    torch.AcceleratorError("CUDA error: unspecified launch failure"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("cuDNN Frontend error: [cudnn_frontend] Error: No execution plans support it."),
    RuntimeError("cuFFT error: CUFFT_EXEC_FAILED"),
    RuntimeError("CUDA error: CUSPARSE_STATUS_EXECUTION_FAILED when calling `cusparseSpMM`"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_EXECUTION_FAILED, when calling `cusolverDn`"),
    RuntimeError("CUDA driver error: unknown error"),
    RuntimeError("CUDA NVRTC error: NVRTC_ERROR_INTERNAL_ERROR"),
    RuntimeError("NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled cuda error"),
]
OTHERS = [
    RuntimeError("The size of tensor a (3) must match"),
    ValueError("a shape"),
    IndexError("a row"),
]


def raising(error: Exception) -> None:
    map_device_errors(lambda: (_ for _ in ()).throw(error))()


@pytest.mark.fault(26)
@pytest.mark.parametrize("error", FULL)
def test_no_memory_is_told_after_what_was_held_is_given_back(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[bool] = []
    monkeypatch.setattr(device_errors, "_release_cached_memory", lambda: given_back.append(True))
    with pytest.raises(OutOfMemory) as told:
        raising(error)
    assert given_back == [True]
    assert "\n" not in str(told.value)


@pytest.mark.fault(26)
def test_the_batchs_tensors_are_free_when_memory_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def network(*_: object) -> torch.Tensor:
        sound = torch.zeros(10)
        held.append(weakref.ref(sound))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    alive: list[bool] = []
    monkeypatch.setattr(
        device_errors, "_release_cached_memory", lambda: alive.append(held[0]() is not None)
    )
    gc.disable()
    try:
        with pytest.raises(OutOfMemory):
            EagerCodec(SPEC, network, "cpu").decode([window(graphed(), 3, 0)])
    finally:
        gc.enable()
    assert alive == [False]


@pytest.mark.fault(27)
@pytest.mark.parametrize("error", LOST)
def test_a_lost_device_is_more_than_a_failed_batch(error: Exception) -> None:
    with pytest.raises(DeviceLost) as told:
        raising(error)
    assert not isinstance(told.value, Exception)
    assert told.value.__cause__ is error


@pytest.mark.parametrize("error", OTHERS)
def test_other_failures_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)):
        raising(error)


@pytest.mark.fault(27)
@pytest.mark.parametrize("call", ["copying", "waiting"])
def test_a_graphs_device_is_lost_where_it_is_given_work_and_where_it_is_waited_for(
    call: str,
) -> None:
    """CUDA reports a failed kernel at whatever call comes next."""

    class Lost:
        def record(self) -> None:
            if call == "copying":
                raise LOST[0]

        def synchronize(self) -> None:
            if call == "waiting":
                raise LOST[0]

    class LostHost(Host):
        def event(self) -> Lost:
            return Lost()

    codec = graphed(LostHost())
    with pytest.raises(DeviceLost):
        codec.decode([window(codec, 3, 0)])


@pytest.mark.fault(26)
def test_a_batch_that_fits_no_graph_and_no_memory_lets_the_device_settle() -> None:
    class Counting(Host):
        settled = 0

        def synchronize(self) -> None:
            self.settled += 1

    def network(codes: torch.Tensor, *_: object) -> torch.Tensor:
        if codes.shape[1] > 64:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return codes[..., 0].repeat_interleave(4, 1) / 65_536

    host = Counting()
    codec = graphed(host, network=network)
    before = host.settled
    with pytest.raises(OutOfMemory):
        codec.decode([window(codec, 65, 0)])
    assert host.settled == before + 1
    assert len(codec.decode([window(codec, 3, 0)])) == 1
