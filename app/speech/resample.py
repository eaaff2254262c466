# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
"""Another sample rate, with libsoxr: streamed as it would come out in one piece."""

from __future__ import annotations

from typing import cast

import numpy as np

from app.samples import Samples


class Resampler:
    """From one rate to another; equal rates are passed through untouched."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = None
        if from_hz != to_hz:
            import soxr  # noqa: PLC0415  (only where it is used)

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def feed(self, samples: Samples) -> Samples:
        """What is ready; the filter keeps some milliseconds back."""
        return self._resampled(samples, last=False)

    def finish(self) -> Samples:
        """The rest."""
        return self._resampled(np.zeros(0, np.float32), last=True)

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        return cast(Samples, self._stream.resample_chunk(samples, last=last))
