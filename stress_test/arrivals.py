"""When the requests of an open loop come."""

from __future__ import annotations

import numpy as np


def poisson_arrivals(
    rng: np.random.Generator, requests_per_s: float, seconds: float
) -> list[float]:
    """When requests come that know nothing of each other: ascending, each within `seconds`."""
    count = int(rng.poisson(requests_per_s * seconds))
    return sorted(rng.uniform(0, seconds, count).tolist())
