"""Shapes of the captured graphs. Without torch, so that a cost model can use them alone."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

# Rows of the captured batches.
ROW_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True, slots=True)
class Grid:
    """Shapes to which batches are rounded up, each of them a captured graph.

    Numbers of rows and of frames, ascending.
    """

    rows: tuple[int, ...]
    frames: tuple[int, ...]

    @classmethod
    def up_to(cls, rows: int, frames: tuple[int, ...]) -> Grid:
        """Build a grid with the default numbers of rows, up to and including `rows`."""
        return cls((*(step for step in ROW_STEPS if step < rows), rows), tuple(sorted(set(frames))))

    def fit(self, rows: int, frames: int) -> tuple[int, int] | None:
        """Return the smallest shape that holds `rows` rows of `frames` frames, or None."""
        row = bisect.bisect_left(self.rows, rows)
        frame = bisect.bisect_left(self.frames, frames)
        if row == len(self.rows) or frame == len(self.frames):
            return None
        return self.rows[row], self.frames[frame]

    def largest_first(self) -> Iterator[tuple[int, int]]:
        """Yield every shape, those with the most padded frames first.

        Later captures then reuse the memory of the first.
        """
        return iter(
            sorted(product(self.rows, self.frames), key=lambda shape: (-shape[0] * shape[1], shape))
        )
