"""The limit on how long an engine may stay silent."""

from __future__ import annotations

import asyncio
from types import TracebackType


class TokenClock:
    """Ends its `async with` block with TimeoutError when tokens stay away: first the one limit, then the other.

    A tick stores a time; the timer looks at it when it is due and sets itself anew, so that a token
    costs no timer: 0.1 µs on uvloop, where moving an `asyncio.timeout` costs 1.8.
    """

    def __init__(self, first_s: float, gap_s: float) -> None:
        self._first_s = first_s
        self._gap_s = gap_s
        self._ticked = False
        self.expired = False

    async def __aenter__(self) -> TokenClock:
        self._loop = asyncio.get_running_loop()
        self._scope = asyncio.timeout(None)
        await self._scope.__aenter__()
        self._arm(self._first_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(kind, error, trace)

    def tick(self) -> None:
        """A token has come."""
        self._due_s = self._loop.time() + self._gap_s
        if not self._ticked:
            self._ticked = True
            self.last(self._gap_s)

    def last(self, seconds: float) -> None:
        """Nothing but the end is awaited, for so long at most."""
        self._timer.cancel()
        self._arm(seconds)

    def _arm(self, seconds: float) -> None:
        self._due_s = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._due_s, self._look)

    def _look(self) -> None:
        if self._loop.time() < self._due_s:
            self._timer = self._loop.call_at(self._due_s, self._look)
        else:
            self.expired = True
            self._scope.reschedule(self._loop.time())
