"""Fades at both ends of a signal.

A neural codec's first and last samples are rarely zero, and such a step would click.
"""

from __future__ import annotations

import numpy as np

from app.audio.samples import Samples
from app.audio.stitch import raised_cosine

FADE_IN_S = 0.010
FADE_OUT_S = 0.010


class FadeIn:
    """Raised-cosine fade over the first 10 ms of a signal, across chunks of any size."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rising = raised_cosine(round(FADE_IN_S * sample_rate_hz))

    def feed(self, samples: Samples) -> Samples:
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
        self._held_back: Samples = np.zeros(0, np.float32)

    def feed(self, samples: Samples) -> Samples:
        """Return the samples that precede the last 10 ms received so far."""
        joined = np.concatenate([self._held_back, samples])
        cut = max(0, len(joined) - self._count)
        self._held_back = joined[cut:]
        return joined[:cut]

    def finish(self) -> Samples:
        """Return the last 10 ms (or all of a shorter signal), faded."""
        return self._held_back * raised_cosine(len(self._held_back))[::-1]


class SegmentFades:
    """Fade-in and fade-out of one segment after another."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._start_segment()

    def feed(self, samples: Samples) -> Samples:
        """Return the samples of a segment, except its last 10 ms, which are held back."""
        return self._fade_out.feed(self._fade_in.feed(samples))

    def finish(self) -> Samples:
        """Return the rest of the segment. The next samples start another one."""
        rest = self._fade_out.finish()
        self._start_segment()
        return rest

    def _start_segment(self) -> None:
        self._fade_in, self._fade_out = FadeIn(self._rate_hz), FadeOut(self._rate_hz)
