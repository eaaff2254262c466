"""Fixtures of the tests that run under the fake driver, in a process of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.codec.fused import load as fused
from tests.fake_cuda.fake_driver import FakeDriver


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> FakeDriver:
    return FakeDriver(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="session", autouse=True)
def _samples_are_not_compared() -> Iterator[None]:
    """No kernel runs, so samples are what the memory had before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "compare_row", lambda *_: None)
        yield
