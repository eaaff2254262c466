"""Detection of loops, in which a language model repeats the same codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REPEATS = 8  # minimum number of periods in a loop
MAX_PERIOD_FRAMES = 50
# Minimum duration of a loop. Codes of silence or of a long vowel also occur ten times in a row.
MIN_LOOP_S = 3.0
STRIDE_FRAMES = 8  # frames between two checks, which take 7 us each


class LoopDetector:
    """Detector of a loop at the end of the codes, the same for any chunk sizes."""

    def __init__(self, frames_per_s: float) -> None:
        self._min_frames = round(MIN_LOOP_S * frames_per_s)
        self._checked_frames = 0

    def feed(self, codes: NDArray[np.int32]) -> bool:
        """True if `codes` (frames, slots), all so far, began to loop since the last call."""
        for end in range(self._checked_frames + STRIDE_FRAMES, len(codes) + 1, STRIDE_FRAMES):
            self._checked_frames = end
            if end >= self._min_frames and self._loops(codes[:end]):
                return True
        return False

    def _loops(self, codes: NDArray[np.int32]) -> bool:
        """True if `codes` end in a repeated period."""
        before = codes[-1 - MAX_PERIOD_FRAMES : -1]
        same = (before == codes[-1]).all(axis=1)
        return any(self._repeats(codes, len(before) - int(at)) for at in np.flatnonzero(same)[::-1])

    def _repeats(self, codes: NDArray[np.int32], period: int) -> bool:
        span = max(REPEATS * period, self._min_frames)
        return len(codes) >= span and np.array_equal(codes[-span + period :], codes[-span:-period])
