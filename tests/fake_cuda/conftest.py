"""The environment with the fake driver, installed once for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.fake_cuda import environment
from tests.vllm.environment import CannotInstall


@pytest.fixture(scope="session")
def fake_cuda_python() -> str:
    """The interpreter of the environment."""
    try:
        return str(environment.fake_cuda_python())
    except CannotInstall as exc:
        pytest.skip(f"torch for CUDA and the fake driver cannot be installed: {exc}")
