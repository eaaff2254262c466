"""Timeouts that do not count the time in which this process was suspended.

A frozen container, a debugger or swapping can suspend a process. Data that its peers sent
meanwhile waits in its sockets, so a timeout that passed in that time does not mean that a peer
was late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

TICK_S = 0.25  # between two ticks; a later tick means that the process was suspended
READ_GRACE_S = 0.1  # extra time after a suspension, to read the data that waits in the sockets


class ProcessClock:
    """Periodic timer on an event loop that measures the suspensions of the process."""

    _current: ProcessClock | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._suspended_s = 0.0
        self._schedule()

    @classmethod
    def current(cls) -> ProcessClock:
        """Return the clock of the running loop; the first call starts it."""
        loop = asyncio.get_running_loop()
        if cls._current is None or cls._current.loop is not loop:
            cls._current = cls(loop)
        return cls._current

    def suspended_s(self) -> float:
        """Return the total suspension since the start, including one that has just ended."""
        late_s = self.loop.time() - self._due_s
        return self._suspended_s + late_s if late_s > TICK_S else self._suspended_s

    def _schedule(self) -> None:
        self._due_s = self.loop.time() + TICK_S
        self.loop.call_at(self._due_s, self._tick)

    def _tick(self) -> None:
        self._suspended_s = self.suspended_s()
        self._schedule()


class ProcessTimer:
    """Timer that calls a function at a loop time, delayed by the suspensions until then.

    Moving it to a later time creates no timer. The running timer checks the time when it fires and
    restarts itself.
    """

    def __init__(self, on_time: Callable[[], object]) -> None:
        self._on_time = on_time
        self._clock = ProcessClock.current()
        self._loop = self._clock.loop
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = self._suspended_s = self.due_s = 0.0

    @property
    def waiting(self) -> bool:
        """True while the timer is set."""
        return self._timer is not None

    def set(self, due_s: float, suspended_s: float | None = None) -> None:
        """Set or move the timer to `due_s`.

        `suspended_s` is the suspended time so far; only suspensions beyond it delay the timer. The
        default is the present value.
        """
        self.due_s = due_s
        self._suspended_s = self._clock.suspended_s() if suspended_s is None else suspended_s
        if self._timer is None or due_s < self._timer_s:
            self._start()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self.cancel()
        self._timer_s = self.due_s
        self._timer = self._loop.call_at(self.due_s, self._fire)

    def _fire(self) -> None:
        now_s, suspended_s = self._loop.time(), self._clock.suspended_s()
        if suspended_s > self._suspended_s:
            self.due_s = max(self.due_s + suspended_s - self._suspended_s, now_s + READ_GRACE_S)
            self._suspended_s = suspended_s
        if now_s < self.due_s:
            self._start()
        else:
            self._timer = None
            self._on_time()


# asyncio.Timeout is final for type checkers.
class ProcessTimeout(asyncio.Timeout):  # pyright: ignore[reportGeneralTypeIssues]
    """`asyncio.timeout` that does not count suspensions of the process.

    The times of `when` and `reschedule` exclude the suspensions since the block began.
    """

    def __init__(self, seconds: float | None) -> None:
        """Time out `seconds` after the block began; None: no limit until `reschedule`."""
        super().__init__(None)
        self._seconds = seconds
        self._ends_s: float | None = None

    async def __aenter__(self) -> ProcessTimeout:
        self._timer = ProcessTimer(self._expire)
        self._suspended_s = ProcessClock.current().suspended_s()
        await super().__aenter__()
        if self._seconds is not None:
            self.reschedule(asyncio.get_running_loop().time() + self._seconds)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await super().__aexit__(kind, error, trace)

    def when(self) -> float | None:
        """Return the loop time at which it ends, or None if it is unlimited."""
        return self._ends_s

    def reschedule(self, when: float | None) -> None:
        """Move the end to another loop time; None: unlimited."""
        self._ends_s = when
        if when is None:
            self._timer.cancel()
        else:
            self._timer.set(when, self._suspended_s)

    def _expire(self) -> None:
        super().reschedule(asyncio.get_running_loop().time())
