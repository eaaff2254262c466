"""A window that waits for its sound, and how the sound reaches who waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.codec import CodeWindow
from app.errors import CodecFailed, NotReady
from app.samples import Samples

log = logging.getLogger(__name__)

Result = Samples | CodecFailed | NotReady


@dataclass(slots=True)
class Waiter:
    """Who waits, and on which event loop."""

    future: asyncio.Future[Samples]
    loop: asyncio.AbstractEventLoop


@dataclass(slots=True)
class Job(Waiter):
    """A window that waits, and who waits for it. Jobs are `Waiting`."""

    deadline_s: float
    take: Callable[[], CodeWindow]
    window: CodeWindow | None = None
    begun_s: float = 0.0  # on the clock of time.monotonic(); 0 while it waits

    @property
    def dropped(self) -> bool:
        """Nobody waits for it any more."""
        return self.future.done()

    def open(self) -> CodeWindow:
        """The window, chosen at the first call."""
        if self.window is None:
            self.window = self.take()
        return self.window

    def open_frames(self) -> int:
        """Frames of the window, context included."""
        return len(self.open().codes)


def settle(waiters: Sequence[Waiter], results: Sequence[Result]) -> None:
    """Hand results to their futures: one call into each event loop a batch."""
    for loop in {waiter.loop for waiter in waiters}:
        asked = zip(waiters, results, strict=True)
        pairs = [(waiter.future, result) for waiter, result in asked if waiter.loop is loop]
        try:
            loop.call_soon_threadsafe(_set_results, pairs)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("%d results came after their event loop was closed", len(pairs))


def _set_results(pairs: list[tuple[asyncio.Future[Samples], Result]]) -> None:
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
