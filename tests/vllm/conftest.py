"""A real vLLM that serves a checkpoint with a known answer."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vllm.environment import CannotInstall, vllm_python

START_S = 300.0  # 36 to 90 s on two cores


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """A running server, and what its model says.

    A prompt that ends in `<|speech_start|>` is answered with `codes` and the end token; one that
    ends in `<|loop_start|>` with `loop`, over and over. Everything before that token is ignored.
    """

    url: str
    model: str
    codes: list[int]
    loop: list[int]


@pytest.fixture(scope="session")
def known_answer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnownAnswer]:
    """The server, started once for all tests."""
    from tests.vllm.checkpoint import answer, write_checkpoint

    try:
        python = vllm_python()
    except CannotInstall as exc:
        pytest.skip(f"vLLM cannot be installed: {exc}")
    codes = random.Random(7).sample(range(1024), 130)
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, answer(codes[:120], codes[120:]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    log = tmp_path_factory.mktemp("vllm") / "log.txt"
    process = _serve(python, folder, port, log)
    try:
        url = f"http://127.0.0.1:{port}"
        _until_healthy(url, process, log)
        yield KnownAnswer(url, "tiny", codes[:120], codes[120:])
    finally:
        _stop(process)


def _serve(python: Path, folder: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    # The `vllm` command finds no metadata under its name in this build, so the module is run.
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "bfloat16"]
    command += ["--enforce-eager", "--max-model-len", "2048", "--max-num-seqs", "64"]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with log.open("wb") as out:  # a session of its own, so that its engine process can be ended with it
        return subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)


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
