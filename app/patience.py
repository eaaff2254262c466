"""How long a request may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.standstill import Alarm

MIN_BODY_BYTES_PER_S = (
    8_192  # a body has a second more for each: a recording of 10 MB twenty minutes
)


class Patience:
    """How long a request may take to arrive: so long for its head, then so long for its body and for its size.

    One timer, set when something is awaited; what has come by then decides whether there is more time.
    """

    def __init__(self, limit_s: float, on_end: Callable[[], None]) -> None:
        self._limit_s, self._on_end = limit_s, on_end
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._look)
        self._body_bytes = 0  # that have not been turned into time

    @property
    def waiting(self) -> bool:
        """Something is awaited."""
        return self._alarm.waiting

    def begin(self) -> None:
        """A request, or the next part of it, is awaited from now on, unless one is already."""
        if not self._alarm.waiting:
            self.renew()

    def renew(self) -> None:
        """All the time again."""
        self._body_bytes = 0
        self._alarm.set(self._loop.time() + self._limit_s)

    def received(self, body_bytes: int) -> None:
        """Some of the body has come."""
        self._body_bytes += body_bytes

    def end(self) -> None:
        """All is there, or nothing is awaited any more."""
        self._alarm.cancel()

    def _look(self) -> None:
        ends_s = self._alarm.due_s + self._body_bytes / MIN_BODY_BYTES_PER_S
        self._body_bytes = 0
        if ends_s > self._loop.time():
            self._alarm.set(ends_s)
        else:
            self._on_end()
