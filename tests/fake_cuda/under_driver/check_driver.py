"""The fake driver refuses what CUDA refuses, and counts nodes (FAKE_CUDA_DEVICES=2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.fake_cuda.fake_driver import FakeDriver, graph_nodes, of_kind

SOURCE = 'extern "C" __global__ void add(float* x) { x[threadIdx.x] += 1; }'
ONE_BLOCK = (1, 1, 1)


@pytest.fixture(scope="module")
def launch() -> Callable[[int], None]:
    """A launch of a kernel, which NVRTC compiles, with this number of threads on the device 0."""
    kernel = torch.cuda._compile_kernel(SOURCE, "add")
    buffer = torch.zeros(2048, device="cuda:0")
    return lambda threads: kernel(ONE_BLOCK, (threads, 1, 1), (buffer,))


def test_nodes_are_kernels_copies_and_products(
    launch: Callable[[int], None], driver: FakeDriver
) -> None:
    matrix = torch.zeros(8, 8, device="cuda:0")
    result = matrix @ matrix
    graph = torch.cuda.CUDAGraph()
    with driver.logged() as calls, torch.cuda.graph(graph):
        launch(32)
        torch.mm(matrix, matrix, out=result)
        result.copy_(matrix)
    assert graph_nodes(calls) == [3]
    nodes = of_kind(calls, "kernel", "product", "copy")
    assert [node.short for node in nodes] == ["kernel", "product", "copy D2D"]
    assert all(node.captured for node in nodes)


def test_a_wait_during_a_capture(driver: FakeDriver) -> None:
    with (
        driver.logged() as calls,
        pytest.raises(torch.AcceleratorError, match="operation"),
        torch.cuda.graph(torch.cuda.CUDAGraph()),
    ):
        torch.cuda.synchronize()
    assert [call.detail for call in of_kind(calls, "refused")] == [
        "cudaDeviceSynchronize cudaErrorStreamCaptureUnsupported",
        "cudaStreamEndCapture cudaErrorStreamCaptureInvalidated",
    ]


def test_a_block_of_too_many_threads(launch: Callable[[int], None]) -> None:
    launch(1024)
    with pytest.raises(RuntimeError, match="invalid configuration"):
        launch(1025)


def test_a_kernel_of_another_device(launch: Callable[[int], None]) -> None:
    with torch.cuda.device(1), pytest.raises(RuntimeError, match="invalid resource handle"):
        launch(32)


def test_a_kernel_that_the_module_does_not_have() -> None:
    with pytest.raises(RuntimeError, match="named symbol not found"):
        torch.cuda._utils._cuda_load_module(b".version 9.0", ["add"])


def test_more_memory_than_the_device_has(driver: FakeDriver) -> None:
    with driver.memory_of(driver.held_mb + 100), pytest.raises(torch.OutOfMemoryError):
        torch.empty(200_000_000, dtype=torch.uint8, device="cuda:0")


def test_a_function_that_the_driver_does_not_have(driver: FakeDriver) -> None:
    with driver.logged() as calls, pytest.raises(RuntimeError, match="cusolver error"):
        torch.linalg.svd(torch.zeros(4, 4, device="cuda:0"))
    assert of_kind(calls, "missing")
