"""Execution of a part in a process of its own, so that a hang or a lost device costs one part."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench.gpu.steps import Row

ERROR_CHARACTERS = 2_000  # of the end of the log of a process that died


def run_process(command: Sequence[str], limit_s: float, log: Path) -> Row:
    """Run a command that prints steps, and print its lines; return the steps and the exit status.

    Its standard error is added to the file `log`. After `limit_s` the process and its children are
    killed.
    """
    started_s = time.monotonic()
    steps: Row = {}
    with (
        log.open("a", encoding="utf-8") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as process,
    ):
        killer = threading.Timer(limit_s, os.killpg, (process.pid, signal.SIGKILL))
        killer.start()
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith('{"step"'):
                step: Row = json.loads(line)
                steps[str(step.pop("step"))] = step
        status = process.wait()
        killer.cancel()
    result: Row = {"steps": steps, "exit": status, "took_s": round(time.monotonic() - started_s, 1)}
    if status:
        result["error"] = log.read_text(encoding="utf-8")[-ERROR_CHARACTERS:]
    return result


def part_command(part: str, seconds: float, flags: Sequence[str]) -> list[str]:
    """Return the command line of a part."""
    return [sys.executable, "-m", "bench.gpu.part", part, "--seconds", str(seconds), *flags]
