"""The shapes that decode calls are rounded up to, so that each can be a captured graph."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

ROW_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers of rows and of frames, ascending."""

    rows: tuple[int, ...]
    frames: tuple[int, ...]

    @classmethod
    def up_to(cls, rows: int, frames: tuple[int, ...]) -> Grid:
        """The usual steps of rows up to a largest batch, which is one too."""
        return cls((*(step for step in ROW_STEPS if step < rows), rows), tuple(sorted(set(frames))))

    def fit(self, rows: int, frames: int) -> tuple[int, int] | None:
        """The smallest shape that holds so many rows of so many frames; None: there is none."""
        row, frame = bisect.bisect_left(self.rows, rows), bisect.bisect_left(self.frames, frames)
        if row == len(self.rows) or frame == len(self.frames):
            return None
        return self.rows[row], self.frames[frame]

    def largest_first(self) -> Iterator[tuple[int, int]]:
        """Every shape, those with the most padded frames first: the memory of the first serves all."""
        return iter(
            sorted(product(self.rows, self.frames), key=lambda shape: (-shape[0] * shape[1], shape))
        )
