"""Admission: so many requests at once, of all callers and of each, and a quick no to the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from app import metrics
from app.errors import Overloaded

RETRY_AFTER_S = 1


class Admission:
    """Counts the requests being served; with a limit per key, also those of each API key."""

    def __init__(self, limit: int, limit_per_key: int | None = None) -> None:
        self._limit, self._limit_per_key = limit, limit_per_key
        self._of_key: Counter[int] = Counter()
        self.in_flight = 0

    def check(self, key: int | None = None) -> None:
        """Refuse before any work is done.

        Raises:
            Overloaded: all places are taken, or all that the key may have.
        """
        if self.in_flight >= self._limit:
            raise Overloaded("the server is busy; try again shortly", retry_after_s=RETRY_AFTER_S)
        if key is not None and self._limit_per_key is not None and self._of_key[key] >= self._limit_per_key:
            raise Overloaded("this API key has as many requests running as it may", retry_after_s=RETRY_AFTER_S)

    @contextmanager
    def slot(self, key: int | None = None) -> Generator[None]:
        """Hold a place for the length of the block.

        Raises:
            Overloaded: all places are taken, or all that the key may have.
        """
        self.check(key)
        self._count(key, 1)
        try:
            yield
        finally:
            self._count(key, -1)

    def _count(self, key: int | None, change: int) -> None:
        self.in_flight += change
        metrics.IN_FLIGHT.set(self.in_flight)
        if key is not None:
            self._of_key[key] += change
