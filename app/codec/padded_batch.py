"""Windows of different lengths as one array, and the cut of context and padding after decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.audio.samples import Samples
from app.codec import CodeWindow


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """Rows of codes, padded with zeros."""

    codes: NDArray[np.int32]  # (rows, frames, codes_per_frame)
    first_frames: NDArray[np.int64]  # (rows,): position of each row in its stream
    frames: NDArray[np.int64]  # (rows,): length of each row without padding

    @classmethod
    def of(cls, windows: Sequence[CodeWindow]) -> PaddedBatch:
        """Build a batch with one row per window, each as long as the longest window."""
        lengths = np.array([len(window.codes) for window in windows])
        codes = np.zeros((len(windows), int(lengths.max()), windows[0].codes.shape[1]), np.int32)
        for row, window in zip(codes, windows, strict=True):
            row[: len(window.codes)] = window.codes
        return cls(codes, np.array([window.first_frame for window in windows]), lengths)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """True for the frames of a window, False for padding: (rows, frames)."""
        positions = np.arange(self.codes.shape[1], dtype=np.int64)
        return positions < self.frames[:, None]


def trim_context(
    rows: NDArray[np.float32], windows: Sequence[CodeWindow], samples_per_frame: int
) -> list[Samples]:
    """Cut context and padding off decoded rows (windows, samples); return each window's samples."""
    return [
        row[window.context_frames * samples_per_frame : len(window.codes) * samples_per_frame]
        for row, window in zip(rows, windows, strict=True)
    ]
