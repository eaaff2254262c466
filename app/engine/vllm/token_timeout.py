"""Time limit for the next token of an engine."""

from __future__ import annotations

import asyncio
from types import TracebackType

from app.process_time import ProcessTimer


class TokenTimeout:
    """Raises TimeoutError from its `async with` block if the first or the next token is late.

    A token creates no timer; it moves a `ProcessTimer` to a later time.
    """

    def __init__(self, first_s: float, gap_s: float) -> None:
        self._first_s = first_s
        self._gap_s = gap_s
        self.expired = False

    async def __aenter__(self) -> TokenTimeout:
        self._loop = asyncio.get_running_loop()
        self._scope = asyncio.timeout(None)
        await self._scope.__aenter__()
        self._timer = ProcessTimer(self._expire)
        self.expect_end(self._first_s)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(kind, error, trace)

    def tick(self) -> None:
        """Restart the limit: a token has arrived."""
        self.expect_end(self._gap_s)

    def expect_end(self, seconds: float) -> None:
        """Set the limit to `seconds` from now, as for the end of the response."""
        self._timer.set(self._loop.time() + seconds)

    def _expire(self) -> None:
        self.expired = True
        self._scope.reschedule(self._loop.time())
