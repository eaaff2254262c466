"""Detection of long silence in generated speech."""

from __future__ import annotations

import numpy as np

from app.audio.samples import Samples

BLOCK_S = 0.02  # seconds of a block, whose energy is measured
FLOOR_DB = -60.0  # dBFS, RMS; a block below it is silence
MAX_SILENCE_S = 3.0  # longest silence that is accepted


class SilenceDetector:
    """Detector of long silence on a fixed grid of 20 ms, independent of the chunk sizes."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._block = round(sample_rate_hz * BLOCK_S)
        self._rest: Samples = np.zeros(0, np.float32)
        self._silent_blocks = 0  # blocks of silence at the end of the audio so far

    def feed(self, samples: Samples) -> bool:
        """Add samples. True if a silence that reaches into them exceeds `MAX_SILENCE_S`."""
        pending = np.concatenate([self._rest, samples])
        whole = len(pending) // self._block * self._block
        self._rest = pending[whole:]
        energies = np.square(pending[:whole].reshape(-1, self._block), dtype=np.float64).mean(
            axis=1
        )
        audible = np.flatnonzero(energies >= 10 ** (FLOOR_DB / 10))
        edges = np.concatenate([[-1 - self._silent_blocks], audible, [len(energies)]])
        gaps = np.diff(edges) - 1
        self._silent_blocks = int(gaps[-1])
        return bool(gaps.max() > round(MAX_SILENCE_S / BLOCK_S))
