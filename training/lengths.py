"""Batches of sentences of similar length, to keep padding small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np

Example = TypeVar("Example")


class Lengths(Generic[Example]):
    """Examples sorted by length."""

    def __init__(self, examples: Sequence[Example], lengths: Sequence[int]) -> None:
        self._order = np.argsort(lengths, kind="stable")
        self._lengths = np.asarray(lengths)[self._order]
        self._examples = examples

    def draw(self, rng: np.random.Generator, total: int) -> list[Example]:
        """Draw examples of similar length, about `total` in sum and at least one."""
        centre = int(rng.integers(len(self._order)))
        rows = max(1, min(total // int(self._lengths[centre]), len(self._order)))
        pool = min(4 * rows, len(self._order))  # larger than the batch, so that batches differ
        first = max(0, min(centre - pool // 2, len(self._order) - pool))
        chosen = self._order[first + rng.choice(pool, rows, replace=False)]
        return [self._examples[int(index)] for index in chosen]
