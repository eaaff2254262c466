"""The load that benchmarks put on the service: how long answers are."""

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
