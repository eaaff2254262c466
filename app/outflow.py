"""How long a client may leave what was written for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.standstill import Alarm


class Outflow:
    """What waits in a connection's buffer: a client that takes nothing of it for so long has stalled.

    One timer, set while nothing can be added to the buffer, so that it shrinks exactly where the client reads. A
    server's graceful close waits for such a client for ever.
    """

    def __init__(
        self, transport: asyncio.WriteTransport, limit_s: float, on_stall: Callable[[], None]
    ) -> None:
        self._transport, self._limit_s, self._on_stall = transport, limit_s, on_stall
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._look)
        self._left_bytes = 0

    def watch(self) -> None:
        """Nothing is added from now on; the client has all the time again, until the buffer is empty."""
        self.leave()
        self._left_bytes = self._transport.get_write_buffer_size()
        if self._left_bytes:
            self._alarm.set(self._loop.time() + self._limit_s)

    def leave(self) -> None:
        """More is being written, by somebody who notices if nobody takes it; or the connection is over."""
        self._alarm.cancel()

    def _look(self) -> None:
        if self._transport.get_write_buffer_size() < self._left_bytes:
            self.watch()
        else:
            self._on_stall()
