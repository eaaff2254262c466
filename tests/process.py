"""A service in a process of its own, for tests that need signals, exits and a clean start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Running:
    """A service in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    port: int

    def ended(self, limit_s: float = 20) -> tuple[int, str]:
        """Wait for its end: the exit status, and what it has logged."""
        output, _ = self.process.communicate(timeout=limit_s)
        return self.process.returncode, output.decode()


def start(folder: Path, module: str = "app", **environment: str) -> Running:
    """Start the service in a clean folder, with no settings but these."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    clean = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "HOST": "127.0.0.1", "PORT": str(port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return Running(process, f"http://127.0.0.1:{port}", port)


def wait_until_ready(running: Running, limit_s: float = 40) -> None:
    """Wait for /ready; fails with the log where the process ends first."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if running.process.poll() is not None and running.process.stdout:
            pytest.fail(running.process.stdout.read().decode())
        try:
            if httpx.get(f"{running.url}/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("not ready in time")


@contextmanager
def running_in(folder: Path, module: str = "app", **environment: str) -> Generator[Running]:
    """A service that is ready, and gone when the block ends."""
    service = start(folder, module, **environment)
    try:
        wait_until_ready(service)
        yield service
    finally:
        service.process.kill()
        service.process.communicate()
