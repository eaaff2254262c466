"""A window to decode, and the delivery of its samples to the waiting task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.errors import CodecFailed, NotReady

log = logging.getLogger(__name__)

Result = Samples | CodecFailed | NotReady


@dataclass(slots=True)
class PendingResult:
    """The future that a task awaits, and its event loop."""

    future: asyncio.Future[Samples]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class Job(PendingResult):
    """A window to decode and the future of its samples; implements `queue.QueuedWindow`."""

    deadline_s: float
    choose_window: Callable[[], CodeWindow]
    window: CodeWindow | None = None
    started_s: float = 0.0  # start of its call, on the clock of time.monotonic(); 0 while queued

    @property
    def cancelled(self) -> bool:
        """True if the task that awaited the result was cancelled, or has it."""
        return self.future.done()

    def assign_window(self) -> CodeWindow:
        """Return the window; choose it at the first call."""
        if self.window is None:
            self.window = self.choose_window()
        return self.window

    def measure_frames(self) -> int:
        """Return the frames of the window, context included."""
        return len(self.assign_window().codes)


def deliver(waiters: Sequence[PendingResult], results: Sequence[Result]) -> None:
    """Set the results of the futures, with one call into each event loop."""
    for loop in {waiter.loop for waiter in waiters}:
        pairs = [
            (waiter.future, result)
            for waiter, result in zip(waiters, results, strict=True)
            if waiter.loop is loop
        ]
        try:
            loop.call_soon_threadsafe(_set_results, pairs)
        except RuntimeError:  # the event loop is closed
            log.debug("%d results dropped: their event loop is closed", len(pairs))


def _set_results(pairs: list[tuple[asyncio.Future[Samples], Result]]) -> None:
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
