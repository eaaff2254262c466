"""Limits in the time in which this process runs.

A process may stand still: a frozen container, a debugger, a machine that swaps. What other processes sent meanwhile
waits in its sockets, so a limit that has passed in that time says nothing of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

BEAT_S = 0.25  # between two beats; one that is late by more than this: the process stood still
MOMENT_S = 0.1  # after a standstill, in which what waits in the sockets is read


class Heartbeat:
    """A timer of an event loop that notices when it is late; `current` gives the one of the running loop."""

    _current: Heartbeat | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._still_s = 0.0
        self._plan()

    @classmethod
    def current(cls) -> Heartbeat:
        """The heartbeat of the running loop, which beats from the first call on."""
        loop = asyncio.get_running_loop()
        if cls._current is None or cls._current.loop is not loop:
            cls._current = cls(loop)
        return cls._current

    def still_s(self) -> float:
        """For how long the process has stood still since the heartbeat began, a standstill just over included."""
        late_s = self.loop.time() - self._due_s
        return self._still_s + late_s if late_s > BEAT_S else self._still_s

    def _plan(self) -> None:
        self._due_s = self.loop.time() + BEAT_S
        self.loop.call_at(self._due_s, self._beat)

    def _beat(self) -> None:
        self._still_s = self.still_s()
        self._plan()


class Alarm:
    """Calls a function at a time of the loop's clock, later by as long as the process stood still until then.

    Moving it to a later time costs no timer: the timer looks at the time when it is due, and sets itself anew.
    """

    def __init__(self, on_time: Callable[[], object]) -> None:
        self._on_time = on_time
        self._heart = Heartbeat.current()
        self._loop = self._heart.loop
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = self._still_s = self.due_s = 0.0

    @property
    def waiting(self) -> bool:
        """Whether it is set."""
        return self._timer is not None

    def set(self, due_s: float, still_s: float | None = None) -> None:
        """Call at `due_s`, and not at the time before. `still_s`: of the moment from which standstills count."""
        self.due_s = due_s
        self._still_s = self._heart.still_s() if still_s is None else still_s
        if self._timer is None or due_s < self._timer_s:
            self._start()

    def cancel(self) -> None:
        """Do not call."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        self.cancel()
        self._timer_s = self.due_s
        self._timer = self._loop.call_at(self.due_s, self._look)

    def _look(self) -> None:
        now_s, still_s = self._loop.time(), self._heart.still_s()
        if still_s > self._still_s:
            self.due_s = max(self.due_s + still_s - self._still_s, now_s + MOMENT_S)
            self._still_s = still_s
        if now_s < self.due_s:
            self._start()
        else:
            self._timer = None
            self._on_time()


class Limit(asyncio.Timeout):  # pyright: ignore[reportGeneralTypeIssues]  (final for type checkers)
    """`asyncio.timeout` in the time in which the process runs.

    `when` and `reschedule` are of a clock that has stood still with the process since the block began.
    """

    def __init__(self, seconds: float | None) -> None:
        """`seconds` from the beginning of the block; None: no limit until it is rescheduled."""
        super().__init__(None)
        self._seconds = seconds
        self._ends_s: float | None = None

    async def __aenter__(self) -> Limit:
        self._alarm, self._still_s = Alarm(self._expire), Heartbeat.current().still_s()
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
        self._alarm.cancel()
        await super().__aexit__(kind, error, trace)

    def when(self) -> float | None:
        """When it ends; None: never."""
        return self._ends_s

    def reschedule(self, when: float | None) -> None:
        """End at another time, or never."""
        self._ends_s = when
        if when is None:
            self._alarm.cancel()
        else:
            self._alarm.set(when, self._still_s)

    def _expire(self) -> None:
        super().reschedule(asyncio.get_running_loop().time())
