"""Built-in token model: phonemes of one sentence to all its codec codes in one pass.

The model is non-autoregressive, like FastSpeech (Ren et al. 2019, arXiv:1905.09263). The text
encoder predicts the duration of each phoneme. Phonemes are repeated over their frames. The frame
decoder predicts the eight digits of each frame's code. `training/networks/token_model.py` is the
same model in torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from app.codec.fsq import digits_to_codes
from app.onnx_network import OnnxNetwork

FRAMES_PER_UNIT = 1.25  # durations count units of 25 ms, frames last 20 ms

Floats = NDArray[np.float32]


class TokenModel:
    """Phoneme ids of one sentence to codes. 3.6 M parameters, 20-30 ms a sentence on one core."""

    def __init__(self, folder: Path) -> None:
        """Read the networks.

        `token_text.onnx`: phoneme ids (phonemes,) to vectors (phonemes, 192) and durations in 25 ms
        units (phonemes,). `token_frames.onnx`: vectors and position features of the frames
        (frames, 198) to the digits of their codes (frames, 8).
        """
        self._text = OnnxNetwork(folder / "token_text.onnx")
        self._frames = OnnxNetwork(folder / "token_frames.onnx")

    def predict(self, ids: Sequence[int]) -> tuple[list[int], Floats]:
        """Map phoneme ids to the most likely codes, and to the durations in 25 ms units."""
        text, units = cast("list[Floats]", self._text(ids=np.array(ids, np.int64)))
        phoneme, position = align(units)
        (digits,) = self._frames(frames=np.concatenate((text[phoneme], position), -1))
        codes = digits_to_codes(cast("NDArray[np.int64]", digits))
        return cast("list[int]", codes.tolist()), units


def align(units: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Map durations (phonemes,) in 25 ms units to each frame's phoneme and position features.

    Returns phoneme indices (frames,) and features (frames, 6): elapsed fraction, remaining
    fraction, elapsed time and remaining time (in units of 100 ms, at most 3), logarithm of the
    duration, and a half sine over the duration.
    """
    durations = units.astype(np.float64)
    ends = np.cumsum(durations)
    centre = (np.arange(math.ceil(ends[-1] * FRAMES_PER_UNIT)) + 0.5) / FRAMES_PER_UNIT
    phoneme = np.minimum(np.searchsorted(ends, centre, side="right"), len(units) - 1)
    duration = durations[phoneme]
    elapsed = centre - (ends[phoneme] - duration)
    fraction = np.clip(elapsed / duration, 0, 1)
    features = (
        fraction,
        1 - fraction,
        np.minimum(elapsed / 4, 3),
        np.clip((duration - elapsed) / 4, -1, 3),
        np.log(duration),
        np.sin(fraction * math.pi),
    )
    return phoneme, np.stack(features, -1).astype(np.float32)
