"""Write timeout of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.process_time import ProcessTimer


class WriteStallTimeout:
    """Write timeout: calls `on_stall` if the client reads nothing of the buffer for `limit_s`.

    Armed only while nothing is written, so a shrinking buffer means that the client reads.
    Without it, a server's graceful close waits forever for a stalled client.
    """

    def __init__(
        self, transport: asyncio.WriteTransport, limit_s: float, on_stall: Callable[[], None]
    ) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._on_stall = on_stall
        self._loop = asyncio.get_running_loop()
        self._timer = ProcessTimer(self._check)
        self._left_bytes = 0  # size of the write buffer when the timer was set

    def arm(self) -> None:
        """Arm, or restart, the timer while the buffer is not empty and nothing is written to it."""
        self.disarm()
        self._left_bytes = self._transport.get_write_buffer_size()
        if self._left_bytes:
            self._timer.set(self._loop.time() + self._limit_s)

    def disarm(self) -> None:
        """Disarm: the application writes, with its own timeout, or the connection is closed."""
        self._timer.cancel()

    def _check(self) -> None:
        if self._transport.get_write_buffer_size() < self._left_bytes:
            self.arm()
        else:
            self._on_stall()
