"""Load generator of one process, which may be one of several.

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

from stress_test.client import send, session
from stress_test.evaluation import evaluate
from stress_test.load import Load, RequestSpec
from stress_test.loop_lag import measure_lag
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
        start_s: float,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._load = load
        self._client = client
        self._start_s = start_s
        self._on_outcome = on_outcome

    async def run(self) -> None:
        """Send all requests; return when every request has its outcome."""
        requests = self._load.request_specs()
        async with asyncio.TaskGroup() as group:
            if self._load.rate:
                await self._run_open_loop(requests, group)
            else:
                for after_s in self._load.client_starts_s:
                    group.create_task(self._run_client(after_s, requests, group))

    async def _run_open_loop(
        self, requests: Iterator[RequestSpec], group: asyncio.TaskGroup
    ) -> None:
        """Send each request at its due time, regardless of the requests in flight."""
        for request in requests:
            due_s = self._start_s + (request.due_s or 0.0)
            await _sleep_until(due_s)
            group.create_task(self._request(request, due_s, group))

    async def _run_client(
        self, after_s: float, requests: Iterator[RequestSpec], group: asyncio.TaskGroup
    ) -> None:
        """Run one client of a closed loop: send the next request when the last one has ended."""
        await _sleep_until(self._start_s + after_s)
        end_s = self._start_s + self._load.duration_s if self._load.duration_s else math.inf
        for request in requests:
            now_s = time.monotonic()
            if now_s >= end_s:
                return
            evaluation = await self._request(request, now_s, group)
            if self._load.listening:
                await _sleep_until(min(end_s, self._start_s + (await evaluation).next_s))

    async def _request(
        self, request: RequestSpec, due_s: float, group: asyncio.TaskGroup
    ) -> asyncio.Task[Outcome]:
        """Send a request and receive its answer; return the task that evaluates the answer."""
        recording = await send(self._client, self._load, request, due_s)

        async def evaluate_recording() -> Outcome:
            outcome = await asyncio.to_thread(
                evaluate,
                recording,
                self._load.response_format,
                self._start_s,
                find_defects=self._load.find_defects,
            )
            self._on_outcome(outcome)
            return outcome

        return group.create_task(evaluate_recording())


async def _sleep_until(moment_s: float) -> None:
    await asyncio.sleep(max(0.0, moment_s - time.monotonic()))


async def generate(load: Load, start_s: float, on_outcome: Callable[[Outcome], None]) -> Timing:
    """Run the share of one process of a load."""
    clock_s = time.monotonic()
    cpu_s = time.process_time()
    async with session(load) as client, measure_lag() as lag:
        await Generator(load, client, start_s, on_outcome).run()
    cpu_share = (time.process_time() - cpu_s) / (time.monotonic() - clock_s)
    return Timing(lag.ms(95), lag.ms(100), round(cpu_share, 3), lag.ms(99))


async def warm_up(load: Load) -> int:
    """Send the warm-up requests one by one; return how many succeeded."""
    succeeded = 0
    async with session(load) as client:
        for number in range(load.warmup_count):
            recording = await send(
                client,
                load,
                RequestSpec(number, load.texts[number % len(load.texts)]),
                time.monotonic(),
            )
            succeeded += recording.error is None
    return succeeded


def main() -> None:
    """Run one of several processes."""
    # A terminal sends Ctrl-C to all processes; the first one handles it and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load = Load.parse(sys.stdin.readline())
    print("ready", flush=True)
    start_s = float(sys.stdin.readline())
    timing = asyncio.run(
        generate(load, start_s, lambda outcome: print(json.dumps(to_json(outcome)), flush=True))
    )
    print(json.dumps(asdict(timing)), flush=True)
