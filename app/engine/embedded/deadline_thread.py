"""A thread that runs the work with the earliest deadline first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class DeadlineThread:
    """Runs one function at a time, the one with the earliest deadline; ties in order of arrival.

    `busy_s` is the total time that functions have run.
    """

    def __init__(self, name: str) -> None:
        self.busy_s = 0.0
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._change = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(
        self, work: Callable[[Argument], Result], argument: Argument, due_s: float
    ) -> Result:
        """Run `work` on the thread and return its result, or raise its exception.

        If cancelled before `work` starts, it does not run. `due_s` is a time of time.monotonic().

        Raises:
            RuntimeError: the thread is closed.
        """
        done: Future[Result] = Future()

        def turn() -> None:
            if not done.set_running_or_notify_cancel():
                return
            begun_s = time.perf_counter()
            try:
                result = work(argument)
            except BaseException as exc:
                done.set_exception(exc)
            else:
                done.set_result(result)
            finally:
                self.busy_s += time.perf_counter() - begun_s

        with self._change:
            if self._closing:
                raise RuntimeError("the thread is closed")
            heapq.heappush(self._waiting, (due_s, next(self._order), turn))
            self._change.notify()
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Run all queued work, then end the thread (blocks)."""
        with self._change:
            self._closing = True
            self._change.notify()
        self._thread.join()

    def _work(self) -> None:
        while (turn := self._next()) is not None:
            turn()

    def _next(self) -> Callable[[], None] | None:
        with self._change:
            while not self._waiting and not self._closing:
                self._change.wait()
            return heapq.heappop(self._waiting)[-1] if self._waiting else None
