"""The load that benchmarks put on the service: how long answers are, and when requests come."""

from __future__ import annotations

import numpy as np

SHORTEST_S, LONGEST_S = 2.0, 12.0
MEDIAN_S, SPREAD = 4.5, 0.45  # of a log-normal: sentences of about 70 characters


def answer_s(rng: np.random.Generator) -> float:
    """Seconds of one answer, as sentences are: 2 to 12, about 4.9 on average."""
    while True:
        length_s = MEDIAN_S * float(np.exp(SPREAD * rng.standard_normal()))
        if SHORTEST_S <= length_s <= LONGEST_S:
            return length_s


def poisson_arrivals(rng: np.random.Generator, requests_per_s: float, seconds: float) -> list[float]:
    """When requests come that know nothing of each other: ascending, each within `seconds`."""
    count = int(rng.poisson(requests_per_s * seconds))
    return sorted(rng.uniform(0, seconds, count).tolist())
