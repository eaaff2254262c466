"""The decode scheduler: windows of all requests become batches the moment a device is free."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from app import metrics, tracing
from app.codec import Codec, CodeWindow, Decoding, OverlappingCodec, Samples
from app.decode.capacity import Capacity
from app.decode.queue import BatchLimits, Queue
from app.errors import CodecFailed, NotReady

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """A window that waits, and who waits for it. Jobs are `Waiting`."""

    deadline_s: float
    take: Callable[[], CodeWindow]
    future: asyncio.Future[Samples]
    loop: asyncio.AbstractEventLoop
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


@dataclass(frozen=True, slots=True)
class _Call:
    """A batch on its way through a device."""

    jobs: list[Job]
    decoding: Decoding
    begun_s: float


@dataclass(slots=True)
class _Device:
    """A codec and what it has in hand."""

    codec: Codec
    depth: int = 1
    free_s: float = 0.0  # when its last call had ended
    running: deque[_Call] = field(default_factory=deque[_Call])
    taken: list[Job] = field(default_factory=list[Job])  # not begun yet
    done: list[Job] = field(default_factory=list[Job])  # not answered yet
    results: list[Samples | CodecFailed] = field(default_factory=list["Samples | CodecFailed"])

    def begin(self) -> None:
        """Begin what has been taken."""
        windows = [job.open() for job in self.taken]
        metrics.DECODE_BATCH.observe(len(windows))
        begun_s = time.monotonic()
        for job in self.taken:
            job.begun_s = begun_s
        decoding = partial(self.codec.decode, windows)
        if isinstance(self.codec, OverlappingCodec):
            try:
                decoding = self.codec.begin(windows)
            except Exception:
                log.exception("a batch of %d windows could not be begun", len(windows))
        self.running.append(_Call(self.taken, decoding, begun_s))
        self.taken = []


class Scheduler:
    """One thread for each codec given; each takes the most urgent jobs when its device is free.

    There is no collection delay: what waits while a device works is the next batch. A device that works by
    itself gets its next batch before the last one's sound is handed out, and a second batch behind a running
    one where a full batch waits, which could not become a better one.
    """

    def __init__(self, codecs: Sequence[Codec], queue: Queue[Job], limits: BatchLimits | None = None) -> None:
        """`limits` are the queue's."""
        self.spec = codecs[0].spec
        self.capacity = Capacity(limits or BatchLimits(1), len(codecs), exact=self.spec.exact)
        self.failure: BaseException | None = None
        self._queue = queue
        self._ready = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=self._work, args=(codec,), name=f"decode-{index}", daemon=True)
            for index, codec in enumerate(codecs)
        ]

    @property
    def waiting(self) -> int:
        """Windows that wait for a device."""
        return len(self._queue)

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
        job, asked_s = Job(deadline_s, take, future, loop), time.monotonic()
        with self._ready:
            if self._closing:
                raise CodecFailed("the decode thread has died") if self.failure else NotReady("the server is closing")
            self._queue.push(job)
            metrics.DECODE_QUEUE.set(len(self._queue))
            self._ready.notify()
        samples = await future
        tracing.record("decode.wait", asked_s, job.begun_s)
        tracing.record("decode", job.begun_s, time.monotonic(), frames=job.open_frames())
        return samples

    def _work(self, codec: Codec) -> None:
        device = _Device(codec, depth=2 if isinstance(codec, OverlappingCodec) else 1)
        try:
            while self._turn(device):
                pass
        except BaseException as exc:
            self.failure = exc
            error = CodecFailed("the decode thread has died")
            _settle(device.done, device.results)
            for jobs in (*(call.jobs for call in device.running), device.taken):
                _settle(jobs, [error] * len(jobs))
            self._fail_waiting(error)
            raise

    def _turn(self, device: _Device) -> bool:
        """Wait for the device, give it the next batch, answer the last one; False at the end."""
        if len(device.running) == device.depth or (device.running and not self._queue.full):
            device.results = self._collect(device)
            device.done = device.running.popleft().jobs
        if not device.running or self._queue.full:
            self._fill(device.taken, wait=not (device.running or device.done))
        if device.taken:
            device.begin()
        _settle(device.done, device.results)
        device.done, device.results = [], []
        return bool(device.running) or not self._closing

    def _fill(self, batch: list[Job], *, wait: bool) -> None:
        """Take the next batch; if `wait`, not before there is one, or an end."""
        with self._ready:
            while not self._closing:
                self._queue.fill(batch)
                metrics.DECODE_QUEUE.set(len(self._queue))
                if batch or not wait:
                    return
                self._ready.wait()

    def _collect(self, device: _Device) -> list[Samples | CodecFailed]:
        """The results of the longest running call; one that fails is halved down to the culprit."""
        call = device.running[0]
        windows = [job.open() for job in call.jobs]
        results = self._decode(device.codec, windows, call.decoding)
        now_s = time.monotonic()
        metrics.DECODE_SECONDS.observe(now_s - call.begun_s)
        busy_s, device.free_s = now_s - max(call.begun_s, device.free_s), now_s
        self.capacity.called(busy_s, len(windows), max(len(window.codes) for window in windows))
        return results

    def _decode(self, codec: Codec, windows: Sequence[CodeWindow], decoding: Decoding) -> list[Samples | CodecFailed]:
        try:
            decoded = list(zip(windows, decoding(), strict=True))
        except Exception:
            if len(windows) == 1:
                log.exception("the codec failed on a window of %d frames", len(windows[0].codes))
                metrics.DECODE_FAILURES.inc()
                return [CodecFailed("the codec failed")]
            half = len(windows) // 2
            halves = windows[:half], windows[half:]
            return [result for part in halves for result in self._decode(codec, part, partial(codec.decode, part))]
        return [self._checked(window, samples) for window, samples in decoded]

    def _checked(self, window: CodeWindow, samples: Samples) -> Samples | CodecFailed:
        if len(samples) == window.sounding_frames * self.spec.samples_per_frame and math.isfinite(
            np.vdot(samples, samples)
        ):
            return samples
        metrics.DECODE_FAILURES.inc()
        log.error("the codec returned %d samples for %d frames, or not numbers", len(samples), len(window.codes))
        return CodecFailed("the codec returned something that is not sound")

    def _fail_waiting(self, error: CodecFailed | NotReady) -> None:
        with self._ready:
            self._closing = True
            waiting = self._queue.drain()
            metrics.DECODE_QUEUE.set(0)
            self._ready.notify_all()
        _settle(waiting, [error] * len(waiting))


def _settle(jobs: Sequence[Job], results: Sequence[Samples | CodecFailed | NotReady]) -> None:
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
