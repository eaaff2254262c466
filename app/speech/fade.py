"""Fades: a neural codec's first and last samples are rarely zero, and the steps would click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.speech.stitch import rise

FADE_IN_S = 0.010
FADE_OUT_S = 0.010


class FadeIn:
    """A raised-cosine fade over the first 10 ms of a signal, however it is chunked."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rising = rise(round(FADE_IN_S * sample_rate_hz))

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples, faded where they belong to the first 10 ms."""
        count = min(len(samples), len(self._rising))
        if not count:
            return samples
        faded = samples.copy()
        faded[:count] *= self._rising[:count]
        self._rising = self._rising[count:]
        return faded


class FadeOut:
    """A raised-cosine fade over the last 10 ms of a signal, which it keeps back until the end."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._count = round(FADE_OUT_S * sample_rate_hz)
        self._kept = np.zeros(0, np.float32)

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples that are not among the last 10 ms so far."""
        joined = np.concatenate([self._kept, samples])
        cut = max(0, len(joined) - self._count)
        self._kept = joined[cut:]
        return joined[:cut]

    def finish(self) -> NDArray[np.float32]:
        """The last 10 ms (or all of a shorter signal), faded."""
        return self._kept * rise(len(self._kept))[::-1]


class Edges:
    """Both fades of one part after another."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._begin()

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples of a part, its last 10 ms kept back."""
        return self._fade_out.feed(self._fade_in.feed(samples))

    def finish(self) -> NDArray[np.float32]:
        """The end of the part; the next samples begin another."""
        rest = self._fade_out.finish()
        self._begin()
        return rest

    def _begin(self) -> None:
        self._fade_in, self._fade_out = FadeIn(self._rate_hz), FadeOut(self._rate_hz)
