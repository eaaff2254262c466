"""Sound in which nothing is heard."""

from __future__ import annotations

import numpy as np

from app.samples import Samples

BLOCK_S = 0.02
FLOOR_DB = -60.0  # a block below it is silence (dBFS, RMS)
LONGEST_S = 3.0


class Quiet:
    """Measures silence on a fixed grid of 20 ms: how the sound was chunked makes no difference."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._block = round(sample_rate_hz * BLOCK_S)
        self._rest: Samples = np.zeros(0, np.float32)
        self._quiet_blocks = 0  # at the end of what was heard

    def feed(self, samples: Samples) -> bool:
        """Whether silence has lasted longer than `LONGEST_S` anywhere up to the end of `samples`."""
        sound = np.concatenate([self._rest, samples])
        whole = len(sound) // self._block * self._block
        self._rest = sound[whole:]
        energies = np.square(sound[:whole].reshape(-1, self._block), dtype=np.float64).mean(axis=1)
        heard = np.flatnonzero(energies >= 10 ** (FLOOR_DB / 10))
        edges = np.concatenate([[-1 - self._quiet_blocks], heard, [len(energies)]])
        gaps = np.diff(edges) - 1
        self._quiet_blocks = int(gaps[-1])
        return bool(gaps.max() > round(LONGEST_S / BLOCK_S))
