"""Windows as the rows of a padded batch, and its sound as each window's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.codec import CodeWindow
from app.samples import Samples


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of codes, zeros behind each one's own."""

    codes: NDArray[np.int32]  # (rows, frames, codes_per_frame)
    first_frames: NDArray[np.int64]  # (rows,): where each row begins in its stream
    frames: NDArray[np.int64]  # (rows,): how long it is

    @classmethod
    def of(cls, windows: Sequence[CodeWindow]) -> Batch:
        """As many rows as windows, as long as the longest."""
        lengths = np.array([len(window.codes) for window in windows])
        codes = np.zeros((len(windows), int(lengths.max()), windows[0].codes.shape[1]), np.int32)
        for row, window in zip(codes, windows, strict=True):
            row[: len(window.codes)] = window.codes
        return cls(codes, np.array([window.first_frame for window in windows]), lengths)


def sounding(
    rows: NDArray[np.float32], windows: Sequence[CodeWindow], samples_per_frame: int
) -> list[Samples]:
    """Of rows (windows, samples), what each window's own frames sound like, its context left out."""
    return [
        row[window.context_frames * samples_per_frame : len(window.codes) * samples_per_frame]
        for row, window in zip(rows, windows, strict=True)
    ]
