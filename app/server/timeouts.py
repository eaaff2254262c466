"""Read and write timeouts of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.process_time import ProcessTimer

# Bytes of body that extend the timeout by one second: a recording of 10 MB may take 20 minutes.
MIN_BODY_BYTES_PER_S = 8_192


class ReadTimeout:
    """Read timeout: `limit_s` for the headers, then `limit_s` plus 1 s per 8 KB for the body.

    Uses a single timer. When it fires, the bytes received since it was set extend it, or
    `on_timeout` is called.
    """

    def __init__(self, limit_s: float, on_timeout: Callable[[], None]) -> None:
        self._limit_s = limit_s
        self._on_timeout = on_timeout
        self._loop = asyncio.get_running_loop()
        self._timer = ProcessTimer(self._expired)
        self._body_bytes = 0  # received since the timer was set

    @property
    def waiting(self) -> bool:
        """True while the timer runs."""
        return self._timer.waiting

    def start(self) -> None:
        """Start the timer unless it runs."""
        if not self._timer.waiting:
            self.restart()

    def restart(self) -> None:
        """Restart the timer with the full limit."""
        self._body_bytes = 0
        self._timer.set(self._loop.time() + self._limit_s)

    def add_bytes(self, body_bytes: int) -> None:
        """Count received bytes of the body, which extend the timeout."""
        self._body_bytes += body_bytes

    def stop(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def _expired(self) -> None:
        deadline_s = self._timer.due_s + self._body_bytes / MIN_BODY_BYTES_PER_S
        self._body_bytes = 0
        if deadline_s > self._loop.time():
            self._timer.set(deadline_s)
        else:
            self._on_timeout()


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
        self._buffered_bytes = 0  # size of the write buffer when the timer was set

    def arm(self) -> None:
        """Arm, or restart, the timer while the buffer is not empty and nothing is written to it."""
        self.disarm()
        self._buffered_bytes = self._transport.get_write_buffer_size()
        if self._buffered_bytes:
            self._timer.set(self._loop.time() + self._limit_s)

    def disarm(self) -> None:
        """Disarm: the application writes, with its own timeout, or the connection is closed."""
        self._timer.cancel()

    def _check(self) -> None:
        if self._transport.get_write_buffer_size() < self._buffered_bytes:
            self.arm()
        else:
            self._on_stall()
