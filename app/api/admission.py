"""Admission: so many requests at once, no stream more than the device can keep in sound, and a quick no to the rest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from app import metrics
from app.decode.capacity import Capacity, Starving
from app.errors import Overloaded

RETRY_AFTER_S = 1
KEPT_FOR_STREAMS = 1 / 8  # of the places: nobody waits for the sound of a whole body, so those give way
Reason = Literal["places", "key"] | Starving
MESSAGES: dict[Reason, str] = {
    "places": "the server is busy; try again shortly",
    "key": "this API key has as many requests running as it may",
    "decode": "the server has as many listeners as it can keep in sound; try again shortly",
    "late": "the server is late for its listeners; try again shortly",
}


class Admission:
    """Counts the requests being served; with a limit per key, also those of each API key.

    A stream is refused as well where the decode device would fall behind, or listeners run dry already; the first
    one never is. A whole body is not: it waits until nothing else does.
    """

    def __init__(self, limit: int, limit_per_key: int | None = None, utilisation: float = 0.0) -> None:
        """`utilisation`: of the decode devices' time, what streams in real time may need (0: not looked at)."""
        self._limit, self._limit_per_key, self._utilisation = limit, limit_per_key, utilisation
        self._of_key: Counter[int] = Counter()
        self.in_flight = self.streams = 0
        self.capacity: Capacity | None = None  # known once the codec is loaded

    def check(self, key: int | None = None, *, whole: bool = False) -> None:
        """Refuse before any work is done.

        Raises:
            Overloaded: there is no place, none for the key, or no sound for one more listener.
        """
        if reason := self._reason(key, whole=whole):
            raise _refusal(reason)

    @contextmanager
    def slot(self, key: int | None = None, *, whole: bool = False) -> Generator[None]:
        """Hold a place for the length of the block; raises Overloaded as `check` does."""
        self.check(key, whole=whole)
        self._count(key, 1, whole=whole)
        if self.capacity and not whole:
            self.capacity.began(time.monotonic(), alone=self.streams == 1)
        try:
            yield
        finally:
            self._count(key, -1, whole=whole)

    @contextmanager
    def upload(self, key: int | None) -> Generator[None]:
        """Count an upload among its key's requests, but not among those served; raises Overloaded as `check` does."""
        if self._is_used_up(key):
            raise _refusal("key")
        self._count_key(key, 1)
        try:
            yield
        finally:
            self._count_key(key, -1)

    def _reason(self, key: int | None, *, whole: bool) -> Reason | None:
        kept = int(self._limit * KEPT_FOR_STREAMS) if whole else 0
        if self.in_flight >= self._limit - kept:
            return "places"
        if self._is_used_up(key):
            return "key"
        return None if whole or not self.streams else self._starving()

    def _is_used_up(self, key: int | None) -> bool:
        return key is not None and self._limit_per_key is not None and self._of_key[key] >= self._limit_per_key

    def _starving(self) -> Starving | None:
        """Why one more stream would run dry, or let others do so."""
        if self.capacity is None or not self._utilisation:
            return None
        return self.capacity.starving(self.streams, self._utilisation, time.monotonic())

    def _count(self, key: int | None, change: int, *, whole: bool) -> None:
        self.in_flight += change
        self.streams += 0 if whole else change
        metrics.IN_FLIGHT.set(self.in_flight)
        self._count_key(key, change)

    def _count_key(self, key: int | None, change: int) -> None:
        if key is not None:
            self._of_key[key] += change


def _refusal(reason: Reason) -> Overloaded:
    """The answer, counted."""
    metrics.REFUSED.labels(reason).inc()
    return Overloaded(MESSAGES[reason], retry_after_s=RETRY_AFTER_S)
