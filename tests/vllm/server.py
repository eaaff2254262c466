"""A real vLLM on a free port of the loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.child_service import PORTS
from tests.vllm.environment import CannotInstall, vllm_python

START_S = 300.0  # 36 to 90 s on two cores
# A gigabyte of keys and values, and no thread bound to a core.
LIMITS = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
}


@contextmanager
def vllm_server(folder: Path, model: str, log: Path, *options: str) -> Generator[str]:
    """The URL of a server of a model's folder, under the name `model`; it ends with the block.

    Skips the test where vLLM cannot be installed.
    """
    try:
        python = vllm_python()
    except CannotInstall as exc:
        pytest.skip(f"vLLM cannot be installed: {exc}")
    port = next(PORTS)
    # The `vllm` command finds no metadata under its name in this build, so the module is run.
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += [
        "--served-model-name",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--enforce-eager",
        *options,
    ]
    with log.open(
        "wb"
    ) as out:  # a session of its own, so that its engine process can be ended with it
        environment = {**os.environ, **LIMITS}
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=environment, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _until_healthy(url, process, log)
        yield url
    finally:
        _stop(process)


def _until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    pytest.fail(f"vLLM did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
