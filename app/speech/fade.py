"""The fade-in: a neural codec's first sample is rarely zero, and the step would click."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.speech.stitch import rise

FADE_IN_S = 0.010


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
