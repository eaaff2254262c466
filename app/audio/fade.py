"""Fades at both ends of a signal.

A neural codec's first and last samples are rarely zero, and such a step would click.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.audio.stitch import raised_cosine

FADE_IN_S = 0.010
FADE_OUT_S = 0.010


class FadeIn:
    """Raised-cosine fade over the first 10 ms of a signal, across chunks of any size."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rising = raised_cosine(round(FADE_IN_S * sample_rate_hz))

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples, faded within the first 10 ms of the signal."""
        count = min(len(samples), len(self._rising))
        if not count:
            return samples
        faded = samples.copy()
        faded[:count] *= self._rising[:count]
        self._rising = self._rising[count:]
        return faded


class FadeOut:
    """Raised-cosine fade over the last 10 ms of a signal, which it holds back until the end."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._count = round(FADE_OUT_S * sample_rate_hz)
        self._kept = np.zeros(0, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples that precede the last 10 ms received so far."""
        joined = np.concatenate([self._kept, samples])
        cut = max(0, len(joined) - self._count)
        self._kept = joined[cut:]
        return joined[:cut]

    def finish(self) -> NDArray[np.float32]:
        """Return the last 10 ms (or all of a shorter signal), faded."""
        return self._kept * raised_cosine(len(self._kept))[::-1]


class SegmentFades:
    """Fade-in and fade-out of one segment after another."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._begin()

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the samples of a segment, except its last 10 ms, which are held back."""
        return self._fade_out.feed(self._fade_in.feed(samples))

    def finish(self) -> NDArray[np.float32]:
        """Return the rest of the segment. The next samples start another one."""
        rest = self._fade_out.finish()
        self._begin()
        return rest

    def _begin(self) -> None:
        self._fade_in, self._fade_out = FadeIn(self._rate_hz), FadeOut(self._rate_hz)
