"""Arrival times of the requests of an open loop."""

from __future__ import annotations

import numpy as np


def poisson_arrivals(
    rng: np.random.Generator, requests_per_s: float, seconds: float
) -> list[float]:
    """Return the arrival times of a Poisson process: seconds, ascending, each below `seconds`."""
    count = int(rng.poisson(requests_per_s * seconds))
    return sorted(rng.uniform(0, seconds, count).tolist())
