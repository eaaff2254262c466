"""Joining of decoded windows into one signal, blended where adjacent windows differ."""

from __future__ import annotations

import numpy as np

from app.audio.samples import Samples
from app.tokens.windows import Window

FADE_S = 0.012  # maximum duration of the blend of two adjacent windows


def raised_cosine(samples: int) -> Samples:
    """Return the rising half of a raised cosine, from just above 0 to just below 1."""
    phase = (np.arange(samples, dtype=np.float32) + 0.5) / max(samples, 1)
    return (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)


class Stitcher:
    """Joiner of windows, which blends the start of each with the look-ahead of the one before.

    The blend is after the boundary, where both windows contain the same frames, so it adds no
    delay. `fade_samples` 0 joins without a blend, for codecs whose windows agree.
    """

    def __init__(self, samples_per_frame: int, fade_samples: int) -> None:
        self._samples_per_frame = samples_per_frame
        self._fade_samples = fade_samples
        self._tail: Samples = np.zeros(0, np.float32)

    def feed(self, window: Window, decoded: Samples) -> Samples:
        """Return the new samples of a window.

        `decoded` are its samples from `window.begin`, without the left context, to `window.stop`.
        """
        end = (window.end - window.begin) * self._samples_per_frame
        new = decoded[:end].copy()
        blend = min(len(self._tail), len(new))
        if blend:
            tail = self._tail[:blend]
            # This form leaves samples unchanged where both windows agree.
            new[:blend] = tail + (new[:blend] - tail) * raised_cosine(blend)
        self._tail = decoded[end : end + self._fade_samples].copy()
        return new
