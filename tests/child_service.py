"""A service in a process of its own, for tests that need signals, exits and a clean start."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.metric_values import exported

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Running:
    """A service in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    port: int
    log: Path  # a file: a pipe that nobody reads would fill, and hold the service up

    def logged(self) -> str:
        """Return the log so far."""
        return self.log.read_text(encoding="utf-8")

    def get(self, path: str) -> httpx.Response:
        """Send a request; without TLS, whose certificates would take 15 ms to load."""
        return httpx.get(f"{self.url}{path}", trust_env=False, verify=False)

    def post(
        self, path: str, body: dict[str, object], headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a JSON body, as `get` does."""
        return httpx.post(
            f"{self.url}{path}",
            json=body,
            headers=headers,
            trust_env=False,
            verify=False,
            timeout=30,
        )

    def metric(self, row: str) -> float:
        """Return an exported metric by its name and labels, as on /metrics."""
        return exported(self.get("/metrics").text, row)

    def ended(self, limit_s: float = 20) -> tuple[int, str]:
        """Wait for the end of the process; return its exit status and log."""
        return self.process.wait(limit_s), self.logged()

    def end(self) -> None:
        """Kill the process if it has not ended."""
        self.process.kill()
        self.process.wait()


def free_ports() -> Iterator[int]:
    """Yield free ports below the system's ephemeral range, others in each test process."""
    for port in itertools.count(20_000 + os.getpid() * 41 % 10_000):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        yield port


PORTS = free_ports()


def start(
    folder: Path, module: str = "app", *, python: str = sys.executable, **environment: str
) -> Running:
    """Start the service in an empty folder, with these settings only."""
    port = next(PORTS)
    clean = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", module],
            cwd=folder,
            env={
                **clean,
                "PYTHONPATH": str(ROOT),
                "HOST": "127.0.0.1",
                "PORT": str(port),
                **environment,
            },
            stdout=output,
            stderr=output,
        )
    return Running(process, f"http://127.0.0.1:{port}", port, log)


def wait_until_ready(running: Running, limit_s: float = 40) -> None:
    """Wait for /ready; fail with the log if the process ends first."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        if running.process.poll() is not None:
            pytest.fail(running.logged())
        try:
            if running.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("not ready in time")


@contextmanager
def running_in(folder: Path, module: str = "app", **environment: str) -> Generator[Running]:
    """Yield a ready service, and kill it when the block ends."""
    service = start(folder, module, **environment)
    try:
        wait_until_ready(service)
        yield service
    finally:
        service.end()
