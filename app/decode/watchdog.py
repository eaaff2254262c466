"""Tells when a call on a device has lasted too long to come back."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

STOOD_STILL_S = 1.0  # a watchdog that wakes so late was not running itself


class Watch:
    """One thread's calls, one at a time: `with watch:` around each."""

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self.due_s = math.inf
        self.thread: int | None = None

    def __enter__(self) -> None:
        self.thread = threading.get_ident()
        self.due_s = time.monotonic() + self._watchdog.limit_s
        self._watchdog.wake()

    def __exit__(self, *_: object) -> None:
        self.due_s = math.inf


class Watchdog:
    """A thread that sleeps until the oldest call would have to be over: a call costs it nothing but the first."""

    def __init__(self, limit_s: float, on_hang: Callable[[Watch], None]) -> None:
        """`on_hang` is called in its thread, once, with the watch of a call that has lasted `limit_s`."""
        self.limit_s, self._on_hang = limit_s, on_hang
        self._watches: list[Watch] = []
        self._idle = self._closed = False
        self._not_before_s = -math.inf
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._guard, name="decode-watchdog", daemon=True)

    def watch(self) -> Watch:
        """A watch for one more thread."""
        self._watches.append(watch := Watch(self))
        return watch

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; what still runs is watched no longer."""
        with self._change:
            self._closed = True
            self._change.notify()

    def wake(self) -> None:
        """A call begins. Unless all was idle the thread will look again before that call is due."""
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

    def _overdue(self) -> Watch | None:
        now_s = time.monotonic()
        if now_s < self._not_before_s:
            return None
        return next((watch for watch in self._watches if watch.due_s <= now_s), None)

    def _sleep(self) -> None:
        """Until the first call is due. A process that stood still, as a frozen container's does, gets its time anew."""
        self._idle = True  # before looking: a call that begins just now either is seen or wakes
        due_s = min(watch.due_s for watch in self._watches)
        if due_s == math.inf:
            self._change.wait()
            self._idle = False
            return
        self._idle = False
        wake_s = max(due_s, self._not_before_s)
        self._change.wait(max(0.0, wake_s - time.monotonic()))
        if time.monotonic() > wake_s + STOOD_STILL_S:
            self._not_before_s = time.monotonic() + self.limit_s
