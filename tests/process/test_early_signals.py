"""Signals while the service imports and loads, also as process 1 of a container."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.child_service import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.process

UNSHARE = ("unshare", "--pid", "--fork", "--kill-child")


@contextmanager
def starting(
    folder: Path, *before: str, command: Sequence[str] = ()
) -> Generator[subprocess.Popen[bytes]]:
    """Start `python -m app` without waiting; kill it at the end of the block."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOST": "127.0.0.1",
        "PORT": "0",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "app", *command],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def handles(pid: int, number: signal.Signals) -> bool:
    """Return if a process has a handler for a signal."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert caught
    return bool(int(caught[1], 16) >> (number - 1) & 1)


def has_imported(pid: int, name: str) -> bool:
    return name in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.fault(54)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", [(), ("serve",), ("say", "Hello.", "-o", "out.wav")])
def test_a_signal_is_handled_before_anything_large_is_imported(
    tmp_path: Path, command: Sequence[str], number: signal.Signals
) -> None:
    with starting(tmp_path, command=command) as process:
        wait_until(lambda: handles(process.pid, signal.SIGTERM))
        assert not has_imported(process.pid, "pydantic_core")
        process.send_signal(number)
        assert process.wait(20) == (128 + number if "say" in command else 0)
    assert (tmp_path / "log").read_text() == ""


def child_of(pid: int) -> int:
    """Return the child process of a process."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    wait_until(lambda: children.read_text().split())
    return int(children.read_text().split()[0])


def may_unshare() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.fault(54)
@pytest.mark.skipif(
    not may_unshare(), reason="processes may not be put into a namespace of their own"
)
def test_process_1_of_a_container_obeys_sigterm_while_it_imports(tmp_path: Path) -> None:
    with starting(tmp_path, *UNSHARE) as namespace:
        process_1 = child_of(namespace.pid)
        wait_until(
            lambda: b"python" in Path(f"/proc/{process_1}/cmdline").read_bytes().split(b"\0")[0]
        )
        wait_until(lambda: has_imported(process_1, "pydantic_core"))
        os.kill(process_1, signal.SIGTERM)
        assert namespace.wait(20) == 0
    assert (tmp_path / "log").read_text() == ""
