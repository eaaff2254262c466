"""Windows to decode, the batches of a device, and the delivery of results to waiting tasks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from app import metrics
from app.audio.samples import Samples
from app.codec import BlockingDecoding, Codec, CodeWindow, Decoding, submit
from app.decode.watchdog import WatchedCall
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


@dataclass(slots=True)
class Batch:
    """The jobs of one call, from its start to the delivery of their results."""

    jobs: list[Job]
    decoding: Decoding
    started_s: float
    results: list[Result] | None = None  # of a call that failed, whose windows were decoded again

    @property
    def windows(self) -> list[CodeWindow]:
        """The codes of all jobs."""
        return [job.codes() for job in self.jobs]


@dataclass(slots=True)
class Device:
    """A codec and its batches; `watch` guards every call that may hang."""

    codec: Codec
    watch: WatchedCall
    depth: int = 1  # maximum number of batches in flight
    clock: Callable[[], float] = time.monotonic  # seconds
    free_s: float = 0.0  # end of the latest call, on `clock`
    running: deque[Batch] = field(default_factory=deque[Batch])
    next_batch: list[Job] = field(default_factory=list[Job])  # chosen, not submitted yet
    finished: Batch | None = None  # decoded, results not delivered yet

    def start_batch(self) -> None:
        """Start a call with the jobs in `next_batch`."""
        windows = [job.codes() for job in self.next_batch]
        metrics.DECODE_BATCH.observe(len(windows))
        started_s = self.clock()
        for job in self.next_batch:
            job.started_s = started_s
        try:
            with self.watch:
                decoding = submit(self.codec, windows)
        except Exception:
            log.exception("a batch of %d windows could not be started", len(windows))
            decoding = BlockingDecoding(partial(self.codec.decode, windows))
        self.running.append(Batch(self.next_batch, decoding, started_s))
        self.next_batch = []

    @property
    def pending(self) -> list[Job]:
        """All jobs whose results may not have been delivered yet."""
        finished = [] if self.finished is None else self.finished.jobs
        running = [job for batch in list(self.running) for job in batch.jobs]
        return [*finished, *running, *self.next_batch]


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
