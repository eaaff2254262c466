"""A limit on the messages of one connection that are refused."""

from __future__ import annotations

MOST_REFUSALS = 100  # at once
REFUSALS_PER_S = 1.0  # beyond them


class RefusalBudget:
    """Counts refusals down from MOST_REFUSALS, and up again with time.

    Each refusal is an answer and a line of the log, which a client could ask for without end.
    """

    def __init__(self, now_s: float) -> None:
        self._left, self._latest_s = float(MOST_REFUSALS), now_s

    def spend(self, now_s: float) -> bool:
        """Count a refusal; False where it is one too many."""
        self._left = min(MOST_REFUSALS, self._left + (now_s - self._latest_s) * REFUSALS_PER_S)
        self._latest_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
