"""Random clients over time, and counts of their outcomes."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stress_test.random_client import GOOD, Call, Caller

LIMIT_S = 60.0  # a request has hung after it; longer than the longest answer of the fake engine


@dataclass(frozen=True, slots=True)
class Crowd:
    """Poisson arrivals of clients, `per_s` a second; `shares`: relative weights of the kinds."""

    url: str
    per_s: float
    shares: Mapping[str, float]
    seed: int = 1

    async def come(self, seconds: float, calls: list[Call]) -> int:
        """Start clients for `seconds` and wait for the last one; return the number of clients.

        Each outcome is appended to `calls` when its request ends.
        """
        draw = random.Random(self.seed)
        begun = 0
        ends_s = time.monotonic() + seconds
        kinds, weights = list(self.shares), list(self.shares.values())
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(draw.expovariate(self.per_s))
                if time.monotonic() > ends_s:
                    return begun
                caller = Caller(self.url, random.Random(draw.getrandbits(64)))
                group.create_task(self._call(caller, draw.choices(kinds, weights)[0], calls))
                begun += 1

    async def _call(self, caller: Caller, kind: str, calls: list[Call]) -> None:
        calls.append(await caller.call(kind, LIMIT_S))


def outcomes(calls: Sequence[Call]) -> dict[str, dict[str, int]]:
    """Count the outcomes of each kind of client."""
    kinds = sorted({call.kind for call in calls})
    return {
        kind: dict(sorted(Counter(call.outcome for call in calls if call.kind == kind).items()))
        for kind in kinds
    }


def statuses(calls: Sequence[Call]) -> dict[str, int]:
    """Count the responses by HTTP status."""
    return dict(
        sorted(Counter(call.outcome[:3] for call in calls if call.outcome[:3].isdigit()).items())
    )


async def one_good(url: str) -> bool:
    """Return True if one good request succeeds."""
    call = await Caller(url, random.Random(1)).call("stream", LIMIT_S)
    return call.outcome == "200" and call.received_bytes > 10_000


def faults(calls: Sequence[Call]) -> int:
    """Count the requests of faulty clients."""
    return sum(call.kind not in GOOD for call in calls)
