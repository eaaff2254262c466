"""Admission: so many requests at once, and a quick no to the rest."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from app import metrics
from app.errors import Overloaded

RETRY_AFTER_S = 1


class Admission:
    """Counts the requests being served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.in_flight = 0

    def check(self) -> None:
        """Refuse before any work is done.

        Raises:
            Overloaded: all places are taken.
        """
        if self.in_flight >= self._limit:
            raise Overloaded("the server is busy; try again shortly", retry_after_s=RETRY_AFTER_S)

    @contextmanager
    def slot(self) -> Generator[None]:
        """Hold a place for the length of the block.

        Raises:
            Overloaded: all places are taken.
        """
        self.check()
        self.in_flight += 1
        metrics.IN_FLIGHT.set(self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1
            metrics.IN_FLIGHT.set(self.in_flight)
