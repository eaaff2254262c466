"""A load on one process, or on several whose outcomes become one."""

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
from types import TracebackType
from typing import Self

from stress_test.generator import Timing, generate
from stress_test.load import Load
from stress_test.outcome import Outcome, from_json

PAUSE_S = 0.05  # from the word to begin until the beginning, so that every process has heard it


class ProcessFailed(RuntimeError):
    """A process of the load ended without its result."""


@dataclass(frozen=True, slots=True)
class Run:
    """All outcomes, in the order of the requests, and how well each process kept its times."""

    outcomes: tuple[Outcome, ...]
    timings: tuple[Timing, ...]
    took_s: float  # from the beginning until the last byte
    interrupted: bool = False  # then these are only the outcomes until then


class Process:
    """One process of the load, ended with the block."""

    def __init__(self, load: Load) -> None:
        self._load = load

    async def __aenter__(self) -> Self:
        """Start it."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stress_test.generator"),
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
        """End it, whatever it was doing."""
        if self._process.returncode is None and kind is not None:
            self._process.kill()
        await self._process.wait()

    async def ready(self) -> None:
        """Return when it knows its load. Raises ProcessFailed."""
        await self._tell(self._load.dump())
        if await self._line() != "ready":
            raise ProcessFailed("a process of the load did not start")

    async def run(self, begin_s: float, on_outcome: Callable[[Outcome], None]) -> Timing:
        """Begin then; return when it is through. Raises ProcessFailed."""
        await self._tell(str(begin_s))
        while line := await self._line():
            values = json.loads(line)
            if "number" not in values:
                return Timing(**values)
            on_outcome(from_json(values))
        raise ProcessFailed("a process of the load ended before its result")

    async def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError as exc:
            raise ProcessFailed("a process of the load ended before it began") from exc

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


async def run(load: Load, on_outcome: Callable[[Outcome], None]) -> Run:
    """Run a load; `on_outcome` hears of each as it comes. Raises ProcessFailed. Cancelled, it returns what there is."""
    outcomes: list[Outcome] = []

    def collect(outcome: Outcome) -> None:
        outcomes.append(outcome)
        on_outcome(outcome)

    timings: list[Timing] | None = None
    with contextlib.suppress(asyncio.CancelledError):
        timings = await _together(load, collect)
    took_s = max((outcome.due_s + outcome.latency_s for outcome in outcomes), default=0.0)
    ordered = tuple(sorted(outcomes, key=lambda outcome: outcome.number))
    return Run(ordered, tuple(timings or ()), round(took_s, 6), interrupted=timings is None)


async def _together(load: Load, on_outcome: Callable[[Outcome], None]) -> list[Timing]:
    if load.processes == 1:
        return [await generate(load, time.monotonic(), on_outcome)]
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(Process(share)) for share in load.shares()]
        await asyncio.gather(*(process.ready() for process in processes))
        begin_s = time.monotonic() + PAUSE_S
        return await asyncio.gather(*(process.run(begin_s, on_outcome) for process in processes))
