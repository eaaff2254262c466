"""The decode scheduler: windows of all requests become batches the moment a device is free."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from app import metrics
from app.codec import Codec, CodeWindow, Samples
from app.errors import CodecFailed, NotReady

log = logging.getLogger(__name__)


@dataclass(order=True, slots=True)
class _Job:
    deadline_s: float
    order: int
    take: Callable[[], CodeWindow] = field(compare=False)
    future: asyncio.Future[Samples] = field(compare=False)
    loop: asyncio.AbstractEventLoop = field(compare=False)
    window: CodeWindow | None = field(default=None, compare=False)

    def open(self) -> CodeWindow:
        """The window, chosen at the first call."""
        if self.window is None:
            self.window = self.take()
        return self.window


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The largest decode call: windows, and frames of the padded batch (None: no limit)."""

    windows: int
    padded_frames: int | None = None


class Scheduler:
    """One thread for each codec given; each takes the most urgent jobs when it is free.

    There is no collection delay: what waits while a device works is the next batch.
    """

    def __init__(self, codecs: Sequence[Codec], limits: BatchLimits) -> None:
        self.spec = codecs[0].spec
        self.failure: BaseException | None = None
        self._limits = limits
        self._order = itertools.count()
        self._jobs: list[_Job] = []
        self._ready = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, args=(codec,), name=f"decode-{index}", daemon=True)
            for index, codec in enumerate(codecs)
        ]

    @property
    def waiting(self) -> int:
        """Windows that wait for a device."""
        return len(self._jobs)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Refuse what waits, let the running call end, and join the threads (blocks)."""
        self._fail_waiting(NotReady("the server is closing"))
        for thread in self._threads:
            thread.join()

    async def decode(self, take: Callable[[], CodeWindow], deadline_s: float) -> Samples:
        """Decode one window; `take` is called on the decode thread when the device is about to start.

        `deadline_s` is on the clock of time.monotonic(); the earliest goes first. Cancelling drops
        the window, unless its call has begun.

        Raises:
            CodecFailed: the codec raised on this window, or returned something that is not sound.
            NotReady: the scheduler is closed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Samples] = loop.create_future()
        with self._ready:
            if self._closing:
                raise CodecFailed("the decode thread has died") if self.failure else NotReady("the server is closing")
            heapq.heappush(self._jobs, _Job(deadline_s, next(self._order), take, future, loop))
            metrics.DECODE_QUEUE.set(len(self._jobs))
            self._ready.notify()
        return await future

    def _work(self, codec: Codec) -> None:
        batch: list[_Job] = []
        try:
            while self._fill(batch):
                _settle(batch, self._decode(codec, [job.open() for job in batch]))
                batch.clear()
        except BaseException as exc:
            self.failure = exc
            error = CodecFailed("the decode thread has died")
            _settle(batch, [error] * len(batch))
            self._fail_waiting(error)
            raise

    def _fill(self, batch: list[_Job]) -> bool:
        """Wait for jobs and move the most urgent that fit one call into `batch`; False when closing."""
        with self._ready:
            while not batch:
                self._ready.wait_for(lambda: self._jobs or self._closing)
                if self._closing:
                    return False
                self._move_most_urgent(batch)
                metrics.DECODE_QUEUE.set(len(self._jobs))
        return True

    def _move_most_urgent(self, batch: list[_Job]) -> None:
        longest = 0
        while self._jobs and len(batch) < self._limits.windows:
            job = self._jobs[0]
            if not job.future.done():
                longest = max(longest, len(job.open().codes))
                padded_frames = longest * (len(batch) + 1)
                if batch and self._limits.padded_frames and padded_frames > self._limits.padded_frames:
                    return
                batch.append(job)
            heapq.heappop(self._jobs)

    def _decode(self, codec: Codec, windows: Sequence[CodeWindow]) -> list[Samples | CodecFailed]:
        """Decode a batch; one that fails is halved down to the culprit."""
        metrics.DECODE_BATCH.observe(len(windows))
        begun_s = time.perf_counter()
        try:
            decoded = list(zip(windows, codec.decode(windows), strict=True))
        except Exception:
            if len(windows) == 1:
                log.exception("the codec failed on a window of %d frames", len(windows[0].codes))
                metrics.DECODE_FAILURES.inc()
                return [CodecFailed("the codec failed")]
            half = len(windows) // 2
            return self._decode(codec, windows[:half]) + self._decode(codec, windows[half:])
        metrics.DECODE_SECONDS.observe(time.perf_counter() - begun_s)
        return [self._checked(window, samples) for window, samples in decoded]

    def _checked(self, window: CodeWindow, samples: Samples) -> Samples | CodecFailed:
        if len(samples) == len(window.codes) * self.spec.samples_per_frame and math.isfinite(np.vdot(samples, samples)):
            return samples
        metrics.DECODE_FAILURES.inc()
        log.error("the codec returned %d samples for %d frames, or not numbers", len(samples), len(window.codes))
        return CodecFailed("the codec returned something that is not sound")

    def _fail_waiting(self, error: CodecFailed | NotReady) -> None:
        with self._ready:
            self._closing = True
            waiting, self._jobs = self._jobs, []
            metrics.DECODE_QUEUE.set(0)
            self._ready.notify_all()
        _settle(waiting, [error] * len(waiting))


def _settle(jobs: Sequence[_Job], results: Sequence[Samples | CodecFailed | NotReady]) -> None:
    """Hand results to their futures: one call into each event loop a batch."""
    for loop in {job.loop for job in jobs}:
        pairs = [(job.future, result) for job, result in zip(jobs, results, strict=True) if job.loop is loop]
        try:
            loop.call_soon_threadsafe(_set_results, pairs)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("results of %d windows came after their event loop was closed", len(pairs))


def _set_results(pairs: list[tuple[asyncio.Future[Samples], Samples | CodecFailed | NotReady]]) -> None:
    for future, result in pairs:
        if future.done():
            continue
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
