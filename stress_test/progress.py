"""Progress bar on stderr, if that is a terminal."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from stress_test.generator import warm_up
from stress_test.load import Load
from stress_test.outcome import Failed, Outcome
from stress_test.processes import Run, run

WIDTH = 30
MIN_UPDATE_INTERVAL_S = 0.1  # between two updates of the bar


class Progress:
    """Counts outcomes; `expected`: their total number, None if unknown."""

    def __init__(self, expected: int | None, out: TextIO = sys.stderr) -> None:
        self._expected, self._out = expected, out
        self._shown = out.isatty()
        self._count = self._failed = 0
        self._drawn_s = 0.0

    def count(self, outcome: Outcome) -> None:
        """Count an outcome and update the bar."""
        self._count += 1
        self._failed += isinstance(outcome, Failed)
        if self._shown and time.monotonic() - self._drawn_s >= MIN_UPDATE_INTERVAL_S:
            self._draw()

    def end(self) -> None:
        """Draw the final bar and end its line."""
        if self._shown:
            self._draw()
            print(file=self._out)

    def _draw(self) -> None:
        self._drawn_s = time.monotonic()
        failed = f", {self._failed} failed" if self._failed else ""
        print(f"\r{self._bar()}{failed}", end="", file=self._out, flush=True)

    def _bar(self) -> str:
        if not self._expected:
            return f"{self._count} answers"
        full = WIDTH * min(self._count, self._expected) // self._expected
        return f"[{'#' * full}{' ' * (WIDTH - full)}] {self._count}/{self._expected}"


async def run_shown(load: Load) -> Run:
    """Run a load with a progress bar; see `run`."""
    progress = Progress(load.request_count)
    try:
        return await run(load, progress.count)
    finally:
        progress.end()


async def warm_up_shown(load: Load) -> None:
    """Send the warm-up requests; print a line if one of them failed."""
    if await warm_up(load) < load.warmup_count:
        print("a warm-up request failed", file=sys.stderr)
