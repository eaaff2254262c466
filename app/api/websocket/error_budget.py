"""Rate limit on rejected messages of one connection."""

from __future__ import annotations

MAX_ERRORS = 100  # errors in a burst
ERRORS_PER_S = 1.0  # sustained rate of errors


class ErrorBudget:
    """Token bucket of MAX_ERRORS rejections that refills at ERRORS_PER_S.

    Each rejection sends a message and writes a log line, which a client could cause without end.
    """

    def __init__(self, now_s: float) -> None:
        self._left = float(MAX_ERRORS)
        self._updated_s = now_s

    def spend(self, now_s: float) -> bool:
        """Count a rejection. False if it exceeds the limit."""
        self._left = min(MAX_ERRORS, self._left + (now_s - self._updated_s) * ERRORS_PER_S)
        self._updated_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
