"""Detection of loops, in which a language model generates the same codes again and again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REPEATS = 8  # periods that make a loop
MAX_PERIOD_FRAMES = 50
MIN_LOOP_S = (
    3.0  # seconds of a loop; codes of silence or of a held vowel also occur ten times in a row
)
STRIDE_FRAMES = 8  # frames between two checks, which take 7 us each


class LoopDetector:
    """Detector of a loop at the end of the codes, which checks fixed frames for any chunk sizes."""

    def __init__(self, frames_per_s: float) -> None:
        self._least_frames = round(MIN_LOOP_S * frames_per_s)
        self._looked_frames = 0

    def feed(self, codes: NDArray[np.int32]) -> bool:
        """True if `codes` (frames, slots), all so far, began to loop since the last call."""
        for end in range(self._looked_frames + STRIDE_FRAMES, len(codes) + 1, STRIDE_FRAMES):
            self._looked_frames = end
            if end >= self._least_frames and self._loops(codes[:end]):
                return True
        return False

    def _loops(self, codes: NDArray[np.int32]) -> bool:
        """True if `codes` end in a repeated period."""
        before = codes[-1 - MAX_PERIOD_FRAMES : -1]
        same = (before == codes[-1]).all(axis=1)
        return any(self._repeats(codes, len(before) - int(at)) for at in np.flatnonzero(same)[::-1])

    def _repeats(self, codes: NDArray[np.int32], period: int) -> bool:
        span = max(REPEATS * period, self._least_frames)
        return len(codes) >= span and np.array_equal(codes[-span + period :], codes[-span:-period])
