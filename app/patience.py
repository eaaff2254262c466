"""How long a request may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MIN_BODY_BYTES_PER_S = 8_192  # a body has a second more for each: a recording of 10 MB twenty minutes


class Patience:
    """How long a request may take to arrive: so long for its head, then so long for its body and for its size.

    One timer, set when something is awaited; what has come by then decides whether there is more time.
    """

    def __init__(self, limit_s: float, on_end: Callable[[], None]) -> None:
        self._limit_s, self._on_end = limit_s, on_end
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ends_s = 0.0
        self._body_bytes = 0

    @property
    def waiting(self) -> bool:
        """Something is awaited."""
        return self._timer is not None

    def begin(self) -> None:
        """A request, or the next part of it, is awaited from now on, unless one is already."""
        if self._timer is None:
            self.renew()

    def renew(self) -> None:
        """All the time again."""
        self._ends_s, self._body_bytes = self._loop.time() + self._limit_s, 0
        self._timer = self._timer or self._loop.call_later(self._limit_s, self._look)

    def received(self, body_bytes: int) -> None:
        """Some of the body has come."""
        self._body_bytes += body_bytes

    def end(self) -> None:
        """All is there, or nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        left_s = self._ends_s + self._body_bytes / MIN_BODY_BYTES_PER_S - self._loop.time()
        if left_s > 0:
            self._timer = self._loop.call_later(left_s, self._look)
        else:
            self._on_end()
