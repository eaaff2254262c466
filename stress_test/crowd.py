"""A crowd of callers: who comes when, in which way, and what came of all of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stress_test.callers import GOOD, Call, Caller

LIMIT_S = 60.0  # after which a request has hung; longer than any limit of the stand-in's answers


@dataclass(frozen=True, slots=True)
class Crowd:
    """Callers at random times, `per_s` of them a second; `shares`: of each kind, in any unit."""

    url: str
    per_s: float
    shares: Mapping[str, float]
    seed: int = 1

    async def come(self, seconds: float, calls: list[Call]) -> int:
        """Let them come for so long and wait for the last; calls are added as they end. How many came."""
        draw, begun, ends_s = random.Random(self.seed), 0, time.monotonic() + seconds
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
    """How many of each kind ended in which way."""
    kinds = sorted({call.kind for call in calls})
    return {
        kind: dict(sorted(Counter(call.outcome for call in calls if call.kind == kind).items()))
        for kind in kinds
    }


def statuses(calls: Sequence[Call]) -> dict[str, int]:
    """How many answers of each status there were."""
    return dict(
        sorted(Counter(call.outcome[:3] for call in calls if call.outcome[:3].isdigit()).items())
    )


async def one_good(url: str) -> bool:
    """Whether one good request works."""
    call = await Caller(url, random.Random(1)).call("stream", LIMIT_S)
    return call.outcome == "200" and call.received_bytes > 10_000


def faults(calls: Sequence[Call]) -> int:
    """How many requests were not what a good caller sends."""
    return sum(call.kind not in GOOD for call in calls)
