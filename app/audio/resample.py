# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
"""Sample rate conversion with libsoxr, equal for any chunk sizes."""

from __future__ import annotations

from typing import cast

import numpy as np

from app.audio.samples import Samples


class Resampler:
    """Converter of one sample rate to another. Equal rates leave the samples unchanged."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = None
        if from_hz != to_hz:
            import soxr  # noqa: PLC0415  (imported only if used)

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def feed(self, samples: Samples) -> Samples:
        """Return the samples that are ready. The filter holds some milliseconds back."""
        return self._resampled(samples, last=False)

    def finish(self) -> Samples:
        """Return the samples held back."""
        return self._resampled(np.zeros(0, np.float32), last=True)

    def _resampled(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        return cast(Samples, self._stream.resample_chunk(samples, last=last))
