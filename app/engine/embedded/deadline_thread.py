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
    """Thread that runs one function at a time, by earliest deadline and then by order of arrival.

    `busy_s` is the total time that functions have run.
    """

    def __init__(self, name: str) -> None:
        self.busy_s = 0.0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run_jobs, name=name, daemon=True)
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

        def job() -> None:
            if not done.set_running_or_notify_cancel():
                return
            started_s = time.perf_counter()
            try:
                result = work(argument)
            except BaseException as exc:
                done.set_exception(exc)
            else:
                done.set_result(result)
            finally:
                self.busy_s += time.perf_counter() - started_s

        with self._changed:
            if self._closing:
                raise RuntimeError("the thread is closed")
            heapq.heappush(self._queue, (due_s, next(self._order), job))
            self._changed.notify()
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Run all queued work, then end the thread (blocks)."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run_jobs(self) -> None:
        while (job := self._next_job()) is not None:
            job()

    def _next_job(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return heapq.heappop(self._queue)[-1] if self._queue else None
