"""Fixtures of the tests that run under the fake driver, in a process of their own."""

from __future__ import annotations

import pytest

from tests.fake_cuda.fake_driver import FakeDriver


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> FakeDriver:
    return FakeDriver(tmp_path_factory.mktemp("driver"))
