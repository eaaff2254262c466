"""Tests that run with torch for CUDA under a fake driver (README.md), each file in a process.

`python -m pytest -m fake_cuda`; skipped where the environment cannot be installed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.fake_cuda.environment import ROOT

CHECKS = Path(__file__).parent / "under_driver"
SMALL = "float16 or built_in"  # of the tests of all types of numbers

pytestmark = pytest.mark.fake_cuda


@pytest.mark.parametrize(
    ("file", "tests", "card"),
    [
        pytest.param("check_driver.py", "", {"FAKE_CUDA_DEVICES": "2"}, id="the driver itself"),
        pytest.param("check_codecs.py", "", {"FAKE_CUDA_SM": "90"}, id="codecs on sm_90"),
        pytest.param("check_codecs.py", SMALL, {"FAKE_CUDA_SM": "86"}, id="codecs on sm_86"),
        pytest.param("check_codecs.py", "", {"FAKE_CUDA_SM": "75"}, id="codecs on sm_75"),
        pytest.param("check_bounds.py", "", {}, id="bounds"),
        pytest.param("check_memory.py", "", {}, id="memory"),
        pytest.param("check_two_devices.py", "", {"FAKE_CUDA_DEVICES": "2"}, id="two devices"),
        pytest.param("check_encoder.py", "", {}, id="encoder"),
        pytest.param("check_errors.py", "", {}, id="errors"),
        pytest.param("check_no_device.py", "", {"FAKE_CUDA_DEVICES": "0"}, id="no device"),
    ],
)
def test_codecs_under_the_driver(
    file: str, tests: str, card: dict[str, str], fake_cuda_python: str
) -> None:
    command = [fake_cuda_python, "-m", "pytest", "-p", "no:cacheprovider", "-k", tests]
    ended = subprocess.run(
        [*command, str(CHECKS / file)],
        check=False,
        cwd=ROOT,
        env={**os.environ, **card, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
