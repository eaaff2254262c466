"""Execution of a load in one process, or in several whose outcomes are merged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from stress_test.generator import Timing, generate
from stress_test.load import Load
from stress_test.outcome import Outcome, from_json

# Starts this package's generator in any folder: -P leaves out the current one, whose stress_test.py
# may be another program.
GENERATOR = """\
import sys
sys.path.insert(0, sys.argv[1])
import stress_test
del sys.path[0]
from stress_test.generator import main
main()
"""
PAUSE_S = 0.05  # from the start command to the start, so that every process has received it


class ProcessFailed(RuntimeError):
    """A load generator process ended without its result."""


@dataclass(frozen=True, slots=True)
class Run:
    """All outcomes in the order of the requests, and the timing of each process."""

    outcomes: tuple[Outcome, ...]
    timings: tuple[Timing, ...]
    took_s: float  # from the start to the last byte
    interrupted: bool = False  # then the outcomes are incomplete


class Process:
    """One load generator process, which ends with the block."""

    def __init__(self, load: Load) -> None:
        self._load = load

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", GENERATOR, str(Path(__file__).parents[1])),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the process; kill it first if the block raised."""
        if self._process.returncode is None and kind is not None:
            self._process.kill()
        await self._process.wait()

    async def ready(self) -> None:
        """Send the load and wait for "ready"; raises ProcessFailed."""
        await self._send_line(self._load.dump())
        if await self._read_line() != "ready":
            raise ProcessFailed("a load generator process did not start")

    async def run(self, start_s: float, on_outcome: Callable[[Outcome], None]) -> Timing:
        """Start the load at `start_s` and return its timing at the end; raises ProcessFailed."""
        await self._send_line(str(start_s))
        while line := await self._read_line():
            values = json.loads(line)
            if "number" not in values:
                return Timing(**values)
            on_outcome(from_json(values))
        raise ProcessFailed("a load generator process ended before its result")

    async def _send_line(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError as exc:
            raise ProcessFailed("a load generator process ended before the load started") from exc

    async def _read_line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


def _ignore(_: Outcome) -> None:
    pass


async def run(
    load: Load, on_outcome: Callable[[Outcome], None] = _ignore, *, separate: bool = False
) -> Run:
    """Run a load and call `on_outcome` with each outcome as it arrives.

    A load of one process runs in this process, or with `separate` in a process of its own. If it is
    cancelled it returns the outcomes so far.

    Raises:
        ProcessFailed: a load generator process ended without its result.
    """
    outcomes: list[Outcome] = []

    def collect(outcome: Outcome) -> None:
        outcomes.append(outcome)
        on_outcome(outcome)

    timings: list[Timing] | None = None
    with contextlib.suppress(asyncio.CancelledError):
        timings = await _together(load, collect, separate=separate)
    took_s = max((outcome.due_s + outcome.latency_s for outcome in outcomes), default=0.0)
    ordered = tuple(sorted(outcomes, key=lambda outcome: outcome.number))
    return Run(ordered, tuple(timings or ()), round(took_s, 6), interrupted=timings is None)


async def _together(
    load: Load, on_outcome: Callable[[Outcome], None], *, separate: bool
) -> list[Timing]:
    if load.processes == 1 and not separate:
        return [await generate(load, time.monotonic(), on_outcome)]
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(Process(share)) for share in load.shares()]
        await asyncio.gather(*(process.ready() for process in processes))
        start_s = time.monotonic() + PAUSE_S
        return await asyncio.gather(*(process.run(start_s, on_outcome) for process in processes))
