"""Random clients over time, and counts of their outcomes."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stress_test.random_client import GOOD, ClientResult, RandomClient

LIMIT_S = 60.0  # a request has hung after it; longer than the longest answer of the fake engine


@dataclass(frozen=True, slots=True)
class RandomClients:
    """Poisson arrivals of clients, `per_s` a second; `shares`: relative weights of the kinds."""

    url: str
    per_s: float
    shares: Mapping[str, float]
    seed: int = 1

    async def run(self, seconds: float, results: list[ClientResult]) -> int:
        """Start clients for `seconds` and wait for the last one; return the number of clients.

        Each outcome is appended to `results` when its request ends.
        """
        rng = random.Random(self.seed)
        count = 0
        end_s = time.monotonic() + seconds
        kinds, weights = list(self.shares), list(self.shares.values())
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(rng.expovariate(self.per_s))
                if time.monotonic() > end_s:
                    return count
                client = RandomClient(self.url, random.Random(rng.getrandbits(64)))
                group.create_task(self._call(client, rng.choices(kinds, weights)[0], results))
                count += 1

    async def _call(self, client: RandomClient, kind: str, results: list[ClientResult]) -> None:
        results.append(await client.run(kind, LIMIT_S))


def outcomes(results: Sequence[ClientResult]) -> dict[str, dict[str, int]]:
    """Count the outcomes of each kind of client."""
    kinds = sorted({result.kind for result in results})
    return {
        kind: dict(
            sorted(Counter(result.outcome for result in results if result.kind == kind).items())
        )
        for kind in kinds
    }


def statuses(results: Sequence[ClientResult]) -> dict[str, int]:
    """Count the responses by HTTP status."""
    found = (result.outcome[:3] for result in results)
    return dict(sorted(Counter(status for status in found if status.isdigit()).items()))


async def good_request_succeeds(url: str) -> bool:
    """Return True if one good request succeeds."""
    result = await RandomClient(url, random.Random(1)).run("stream", LIMIT_S)
    return result.outcome == "200" and result.received_bytes > 10_000


def count_faulty(results: Sequence[ClientResult]) -> int:
    """Count the requests of faulty clients."""
    return sum(result.kind not in GOOD for result in results)
