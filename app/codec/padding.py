"""Windows of one-code frames as the rows of a padded batch, and its sound as each window's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.codec import CodeWindow, Samples


def pad_codes(windows: Sequence[CodeWindow]) -> tuple[NDArray[np.int32], list[int]]:
    """Codes (windows, longest), zeros behind each row's own, and the rows' lengths in frames."""
    lengths = [len(window.codes) for window in windows]
    codes = np.zeros((len(windows), max(lengths)), np.int32)
    for row, window in zip(codes, windows, strict=True):
        row[: len(window.codes)] = window.codes[:, 0]
    return codes, lengths


def cut_sound(rows: NDArray[np.float32], lengths: Sequence[int], samples_per_frame: int) -> list[Samples]:
    """Of rows (windows, samples), what each row's own frames sound like."""
    return [row[: length * samples_per_frame] for row, length in zip(rows, lengths, strict=True)]
