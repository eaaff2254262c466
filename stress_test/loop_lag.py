"""Event loop lag, which the load generator adds to its own measurements."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from stress_test.percentile import percentile

TICK_S = 0.02


@dataclass(slots=True)
class Lag:
    """Delays of a periodic timer, in seconds."""

    delays_s: list[float] = field(default_factory=list[float])

    async def measure(self) -> None:
        """Record the delay of each tick until cancelled."""
        while True:
            due_s = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self.delays_s.append(time.monotonic() - due_s)

    def ms(self, percent: float) -> float:
        """Return a percentile in milliseconds; 0 before the first tick."""
        return round(percentile(self.delays_s or [0.0], percent) * 1000, 1)


@asynccontextmanager
async def measure_lag() -> AsyncGenerator[Lag]:
    """Measure the lag of the running event loop during the block."""
    lag = Lag()
    measuring = asyncio.create_task(lag.measure())
    try:
        yield lag
    finally:
        measuring.cancel()
