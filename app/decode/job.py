"""A window to decode, and the delivery of its samples to the waiting task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.errors import CodecFailed, NotReady
from app.tokens.windows import Window

log = logging.getLogger(__name__)

Result = Samples | CodecFailed | NotReady
# Chooses a window of a stream and returns it with its codes. Called on the decode thread.
ChooseWindow = Callable[[], tuple[Window, CodeWindow]]


@dataclass(frozen=True, slots=True)
class DecodedWindow:
    """The samples of a window from `window.begin` to `window.stop`."""

    window: Window
    samples: Samples


@dataclass(slots=True)
class PendingResult:
    """The future that a task awaits, and its event loop."""

    future: asyncio.Future[Samples]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class Job(PendingResult):
    """A window to decode and the future of its samples; implements `queue.QueuedWindow`."""

    deadline_s: float
    choose_window: ChooseWindow
    chosen: tuple[Window, CodeWindow] | None = None
    started_s: float = 0.0  # start of its call, on the clock of time.monotonic(); 0 while queued

    @property
    def cancelled(self) -> bool:
        """True if the task that awaited the result was cancelled, or has it."""
        return self.future.done()

    def assign_window(self) -> tuple[Window, CodeWindow]:
        """Return the window and its codes; choose it at the first call."""
        if self.chosen is None:
            self.chosen = self.choose_window()
        return self.chosen

    def codes(self) -> CodeWindow:
        """Return the codes of the window, context included."""
        return self.assign_window()[1]

    def measure_frames(self) -> int:
        """Return the frames of the window, context included."""
        return len(self.codes().codes)


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
