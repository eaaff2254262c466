"""Detection of device calls that exceed their time limit."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

CLOCK_JUMP_S = 1.0  # seconds of delay after which the process itself counts as suspended


class WatchedCall:
    """A context manager around each device call of one thread."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self.due_s = math.inf
        self.thread: int | None = None

    def __enter__(self) -> None:
        self.thread = threading.get_ident()
        self.due_s = self._watchdog.clock() + self._watchdog.limit_s
        self._watchdog.wake()

    def __exit__(self, *_: object) -> None:
        self.due_s = math.inf


class Watchdog:
    """A thread that sleeps until the earliest call deadline.

    Only the first call after an idle period wakes it.
    """

    def __init__(
        self,
        limit_s: float,
        on_hang: Callable[[WatchedCall], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the thread, which calls `on_hang` once, with the watch of a hung call."""
        self.limit_s, self._on_hang = limit_s, on_hang
        self.clock = clock
        self._watches: list[WatchedCall] = []
        self._idle = self._closed = False
        self._not_before_s = -math.inf
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._guard, name="decode-watchdog", daemon=True)

    def watch(self) -> WatchedCall:
        """Return a watch for one more thread."""
        self._watches.append(watch := WatchedCall(self))
        return watch

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread; calls that still run are not watched any more."""
        with self._change:
            self._closed = True
            self._change.notify()

    def wake(self) -> None:
        """Notify the thread of a new call, which it needs only if no other call was running."""
        if self._idle:
            with self._change:
                self._change.notify()

    def _guard(self) -> None:
        with self._change:
            while (hung := self._overdue()) is None:
                if self._closed:
                    return
                self._sleep()
        self._on_hang(hung)

    def _overdue(self) -> WatchedCall | None:
        now_s = self.clock()
        if now_s < self._not_before_s:
            return None
        return next((watch for watch in self._watches if watch.due_s <= now_s), None)

    def _sleep(self) -> None:
        """Sleep until the first deadline.

        After a suspension of the process, as of a frozen container, all calls get a new limit.
        """
        # Set before the check, so that a call that starts now is either seen or notifies.
        self._idle = True
        due_s = min(watch.due_s for watch in self._watches)
        if due_s == math.inf:
            self._change.wait()
            self._idle = False
            return
        self._idle = False
        wake_s = max(due_s, self._not_before_s)
        self._change.wait(max(0.0, wake_s - self.clock()))
        if self.clock() > wake_s + CLOCK_JUMP_S:
            self._not_before_s = self.clock() + self.limit_s
