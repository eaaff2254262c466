"""Load generator of one process: `python -m stress_test.generator` is one of several.

The process reads the load as a line of JSON, prints "ready" and reads its start time by
time.monotonic(). It prints a line of JSON for each outcome, then one with its timing.
"""

from __future__ import annotations

import asyncio
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import aiohttp

from stress_test.client import session, speak
from stress_test.evaluation import judge
from stress_test.load import Ask, Load
from stress_test.loop_lag import watched
from stress_test.outcome import Outcome, to_json


@dataclass(frozen=True, slots=True)
class Timing:
    """Timing of one process: event loop lag, and CPU time divided by wall-clock time."""

    lag_ms_p95: float
    lag_ms_max: float
    cpu_share: float
    lag_ms_p99: float = 0.0  # results written before it was recorded have none


class Generator:
    """Sends the requests of one process and reports each outcome once it has been evaluated."""

    def __init__(
        self,
        load: Load,
        client: aiohttp.ClientSession,
        begin_s: float,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._load = load
        self._client = client
        self._begin_s = begin_s
        self._on_outcome = on_outcome

    async def run(self) -> None:
        """Send all requests; return when every request has its outcome."""
        asks = self._load.asks()
        async with asyncio.TaskGroup() as group:
            if self._load.rate:
                await self._open(asks, group)
            else:
                for after_s in self._load.places:
                    group.create_task(self._place(after_s, asks, group))

    async def _open(self, asks: Iterator[Ask], group: asyncio.TaskGroup) -> None:
        """Send each request at its due time, regardless of the requests in flight."""
        for ask in asks:
            due_s = self._begin_s + (ask.due_s or 0.0)
            await _until(due_s)
            group.create_task(self._request(ask, due_s, group))

    async def _place(self, after_s: float, asks: Iterator[Ask], group: asyncio.TaskGroup) -> None:
        """Run one place of a closed loop: send the next request when the last one has ended."""
        await _until(self._begin_s + after_s)
        end_s = self._begin_s + self._load.duration_s if self._load.duration_s else math.inf
        for ask in asks:
            now_s = time.monotonic()
            if now_s >= end_s:
                return
            listened = await self._request(ask, now_s, group)
            if self._load.listening:
                await _until(min(end_s, self._begin_s + (await listened).next_s))

    async def _request(
        self, ask: Ask, due_s: float, group: asyncio.TaskGroup
    ) -> asyncio.Task[Outcome]:
        """Send a request and receive its answer; return the task that evaluates the answer."""
        recording = await speak(self._client, self._load, ask, due_s)

        async def listen() -> Outcome:
            outcome = await asyncio.to_thread(
                judge,
                recording,
                self._load.response_format,
                self._begin_s,
                find_defects=self._load.find_defects,
            )
            self._on_outcome(outcome)
            return outcome

        return group.create_task(listen())


async def _until(moment_s: float) -> None:
    await asyncio.sleep(max(0.0, moment_s - time.monotonic()))


async def generate(load: Load, begin_s: float, on_outcome: Callable[[Outcome], None]) -> Timing:
    """Run the share of one process of a load."""
    clock_s, cpu_s = time.monotonic(), time.process_time()
    async with session(load) as client, watched() as lag:
        await Generator(load, client, begin_s, on_outcome).run()
    cpu_share = (time.process_time() - cpu_s) / (time.monotonic() - clock_s)
    return Timing(lag.ms(95), lag.ms(100), round(cpu_share, 3), lag.ms(99))


async def warm_up(load: Load) -> int:
    """Send the warm-up requests one by one; return how many succeeded."""
    spoke = 0
    async with session(load) as client:
        for number in range(load.warmup_count):
            recording = await speak(
                client, load, Ask(number, load.texts[number % len(load.texts)]), time.monotonic()
            )
            spoke += recording.error is None
    return spoke


def main() -> None:
    """Run one of several processes."""
    # a terminal sends Ctrl-C to all processes; the first one handles it and ends this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load = Load.parse(sys.stdin.readline())
    print("ready", flush=True)
    begin_s = float(sys.stdin.readline())
    timing = asyncio.run(
        generate(load, begin_s, lambda outcome: print(json.dumps(to_json(outcome)), flush=True))
    )
    print(json.dumps(asdict(timing)), flush=True)


if __name__ == "__main__":
    main()
