"""Detection of device calls that exceed their time limit."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence

from app.process_time import ProcessClock


class WatchedCall:
    """A context manager around each device call of one thread."""

    def __init__(self, limit_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`limit_s`: duration after which a call counts as hung, on `clock`."""
        self.limit_s = limit_s
        self.clock = clock
        self.due_s = math.inf  # end of the running call's limit
        self.thread: int | None = None

    def __enter__(self) -> None:
        self.thread = threading.get_ident()
        self.due_s = self.clock() + self.limit_s

    def __exit__(self, *_: object) -> None:
        self.due_s = math.inf


async def find_hung_call(
    calls: Sequence[WatchedCall], limit_s: float, *, clock: Callable[[], float] = time.monotonic
) -> WatchedCall:
    """Wait until a call exceeds the limit, and return it.

    Sleeps until the earliest due time, and for one limit if no call runs: a call that starts
    meanwhile is due later. If the process was suspended meanwhile (a frozen container) or the event
    loop was blocked, all calls get as much time again, at most another limit.
    """
    process_clock = ProcessClock.current()
    not_before_s = -math.inf
    while True:
        now_s = clock()
        hung = next((call for call in calls if call.due_s <= now_s), None)
        if hung and now_s >= not_before_s:
            return hung
        due_s = min(now_s + limit_s, *(call.due_s for call in calls))
        earlier_s = process_clock.suspended_s()
        await asyncio.sleep(max(due_s, not_before_s) - now_s)
        if suspended_s := process_clock.suspended_s() - earlier_s:
            not_before_s = clock() + min(suspended_s, limit_s)
