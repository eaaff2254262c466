"""Errors of CUDA and of its libraries, as torch words them, are mapped to those of the service."""

from __future__ import annotations

import pytest
import torch

from app.codec import DeviceLost, OverlappingCodec
from app.errors import LoadError
from tests.fake_cuda.fake_driver import FakeDriver, of_kind
from tests.fake_cuda.under_driver.codecs import load, window


# In this order, because torch keeps the handles that a load creates before it fails.
@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("snac", "cudnnCreate"),
        ("neucodec", "cublasCreate"),
        ("neucodec", "cufftXtMakePlanMany"),
    ],
)
def test_a_library_without_memory_is_a_load_error(
    name: str, function: str, driver: FakeDriver
) -> None:
    torch.backends.cuda.cufft_plan_cache.clear()
    driver.fail_next(function)
    with (
        driver.logged() as calls,
        pytest.raises(LoadError, match="has too little memory for the codec"),
    ):
        load(name, graph_s=(0.7,), max_batch=1)
    assert [call.detail for call in of_kind(calls, "failed")] == [function]


@pytest.mark.parametrize("function", ["cudaGraphLaunch", "cudaEventSynchronize"])
def test_an_illegal_access_loses_the_device(function: str, driver: FakeDriver) -> None:
    codec = load("snac", graph_s=(0.7,), max_batch=1)
    assert isinstance(codec, OverlappingCodec)
    driver.fail_next(function)
    with pytest.raises(DeviceLost, match="an illegal memory access"):
        codec.decode([window(codec, 3)])
