"""DEVICE where torch for CUDA finds no device (FAKE_CUDA_DEVICES=0)."""

from __future__ import annotations

import pytest

from app.codec.torch_load import pick_devices
from app.errors import LoadError


@pytest.mark.parametrize("setting", ["cuda", "cuda:1", "cuda:0,cuda:1"])
def test_a_cuda_device_is_a_load_error(setting: str) -> None:
    with pytest.raises(LoadError, match=f"DEVICE={setting}: torch cannot use CUDA"):
        pick_devices(setting)


def test_auto_is_the_cpu() -> None:
    assert pick_devices("auto") == ("cpu",)
