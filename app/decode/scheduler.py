"""The decode scheduler, which batches the windows of all requests when a device is free."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from app import metrics, tracing
from app.audio.samples import Samples
from app.codec import Codec, CodeWindow, OutOfMemory, OverlappingCodec
from app.decode.batch import (
    ChooseWindow,
    DecodedWindow,
    Device,
    Job,
    PendingResult,
    Result,
    deliver,
)
from app.decode.load_estimate import (
    FIRST_WINDOW_S,
    CallCost,
    DecodeCapacity,
    LoadEstimate,
    SentWindow,
)
from app.decode.queue import BatchLimits, Queue
from app.decode.watchdog import WatchedCall, find_hung_call
from app.errors import CodecFailed, NotReady
from app.tokens.windows import plan_windows

log = logging.getLogger(__name__)

CALL_LIMIT_S = 60.0
USUAL_OVERLAP_S = 0.2  # seconds of overlap in the windows that the load estimate assumes


class DecodeHung(Exception):
    """A decode call has exceeded its time limit."""


class Scheduler:
    """Decode windows on one thread per codec; each thread takes the most urgent jobs.

    There is no collection delay. The windows that arrive while a device is busy form the next
    batch. An OverlappingCodec gets its next batch as soon as the last one is decoded, and works
    while the samples of the last one are converted, checked and delivered. It gets a second batch
    behind a running one only if a full batch is queued.

    If a thread dies or a call hangs, `failure` is set and all requests are rejected.
    """

    def __init__(
        self,
        codecs: Sequence[Codec],
        queue: Queue[Job],
        call_limit_s: float = CALL_LIMIT_S,
        limits: BatchLimits | None = None,
        call_cost: CallCost | None = None,
        *,
        load_estimate: LoadEstimate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the threads, which `start` starts.

        `call_limit_s` is the time after which a call counts as hung. `limits` are the queue's.
        `call_cost` is the cost of a call if it was measured at startup. The scheduler updates
        `load_estimate`. `clock` returns seconds.
        """
        self.spec = codecs[0].spec
        plan = plan_windows(self.spec, first_window_s=FIRST_WINDOW_S, overlap_s=USUAL_OVERLAP_S)
        self._load_estimate = load_estimate or LoadEstimate()
        self._load_estimate.codec_loaded(
            DecodeCapacity(
                limits or BatchLimits(1), len(codecs), plan, self.spec.frames_per_s, call_cost
            )
        )
        self.failure: BaseException | None = None
        self._queue = queue
        self._clock = clock
        self._ready = threading.Condition()
        self._closing = False
        self._failure_waiters: dict[asyncio.Future[Samples], PendingResult] = {}
        self._ended = threading.Event()  # set when every thread has ended, or one has failed
        self._call_limit_s = call_limit_s
        self._watching: asyncio.Task[None] | None = None
        self._devices = [
            Device(
                codec,
                WatchedCall(call_limit_s),
                depth=2 if isinstance(codec, OverlappingCodec) else 1,
                clock=clock,
            )
            for codec in codecs
        ]
        self._threads = [
            threading.Thread(target=self._work, args=(device,), name=f"decode-{index}", daemon=True)
            for index, device in enumerate(self._devices)
        ]
        self._running_threads = len(self._threads)

    @property
    def waiting(self) -> int:
        """Number of queued windows."""
        return len(self._queue)

    def window_sent(self, window: SentWindow) -> None:
        """Record a window of a stream that is about to be sent, for the estimate of the load."""
        self._load_estimate.window_sent(window)

    def start(self) -> None:
        """Start the threads, and a task of the running event loop that detects hung calls."""
        self._watching = asyncio.create_task(self._watch_calls())
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Reject the queued windows, then wait for running calls unless one hangs."""
        self._fail_waiting(NotReady("the server is closing"))
        await asyncio.to_thread(self._ended.wait)
        if self._watching and not self._watching.done():
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def decode(self, choose_window: ChooseWindow, deadline_s: float) -> DecodedWindow:
        """Decode the window that `choose_window` returns on the decode thread just before the call.

        `deadline_s` is on the clock of time.monotonic(); the earliest one is decoded first.
        Cancelling drops the window unless its call has started.

        Raises:
            CodecFailed: the codec raised on this window or returned invalid samples.
            NotReady: the scheduler is closed.
        """
        loop = asyncio.get_running_loop()
        job = Job(loop.create_future(), loop, deadline_s, choose_window)
        queued_s = self._clock()
        with self._ready:
            self._check_open()
            self._queue.push(job)
            metrics.DECODE_QUEUE.set(len(self._queue))
            self._ready.notify()
        samples = await job.future
        tracing.record("decode.wait", queued_s, job.started_s)
        tracing.record("decode", job.started_s, self._clock(), frames=job.measure_frames())
        window, _ = job.assign_window()
        return DecodedWindow(window, samples)

    async def wait_for_failure(self) -> None:
        """Wait until a thread dies or a call hangs.

        Raises:
            CodecFailed: decoding has failed; `failure` has the cause.
            NotReady: the scheduler is closed.
        """
        loop = asyncio.get_running_loop()
        waiter = PendingResult(loop.create_future(), loop)
        with self._ready:
            self._check_open()
            self._failure_waiters[waiter.future] = waiter
        try:
            await waiter.future
        finally:
            with self._ready:
                del self._failure_waiters[waiter.future]

    def _check_open(self) -> None:
        if self._closing:
            raise (
                CodecFailed("decoding has failed")
                if self.failure
                else NotReady("the server is closing")
            )

    def _work(self, device: Device) -> None:
        try:
            while self._step(device):
                pass
        except BaseException as exc:
            self._fail(exc, device)
            raise
        with self._ready:
            self._running_threads -= 1
            if not self._running_threads:
                self._ended.set()

    async def _watch_calls(self) -> None:
        """When a call hangs, log its stack and fail all waiting requests."""
        calls = [device.watch for device in self._devices]
        hung = await find_hung_call(calls, self._call_limit_s)
        message = f"a decode call has lasted {self._call_limit_s:g} s"
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  (documented in `sys`)
        stack = traceback.format_stack(frames.get(hung.thread or 0))
        log.critical("%s:\n%s", message, "".join(stack))
        self._fail(DecodeHung(message), self._devices[calls.index(hung)])

    def _fail(self, failure: BaseException, device: Device) -> None:
        self.failure = failure
        error = CodecFailed("decoding has failed")
        pending = device.pending
        deliver(pending, [error] * len(pending))
        self._fail_waiting(error)
        self._ended.set()

    def _step(self, device: Device) -> bool:
        """Wait for the device, start its next batch and deliver the last one; False at the end."""
        if len(device.running) == device.depth or (device.running and not self._queue.full):
            self._wait(device)
        try:
            if not device.running or self._queue.full:
                self._fill(device.next_batch, wait=not (device.running or device.finished))
            if device.next_batch:
                device.start_batch()
        finally:
            self._deliver_finished(device)
        return bool(device.running) or not self._closing

    def _fill(self, batch: list[Job], *, wait: bool) -> None:
        """Take the next batch; with `wait`, block until a window is queued or the end."""
        with self._ready:
            while not self._closing:
                self._queue.fill(batch)
                metrics.DECODE_QUEUE.set(len(self._queue))
                if batch or not wait:
                    return
                self._ready.wait()

    def _wait(self, device: Device) -> None:
        """Wait until the device has decoded the oldest batch, which is then the finished one."""
        batch = device.finished = device.running[0]
        try:
            with device.watch:
                batch.decoding.wait()
        except Exception as exc:
            batch.results = self._decode_halves(device, batch.windows, exc)
        device.running.popleft()
        now_s = self._clock()
        metrics.DECODE_SECONDS.observe(now_s - batch.started_s)
        busy_s, device.free_s = now_s - max(batch.started_s, device.free_s), now_s
        longest_frames = max(job.measure_frames() for job in batch.jobs)
        self._load_estimate.call_finished(busy_s, len(batch.jobs), longest_frames)

    def _deliver_finished(self, device: Device) -> None:
        """Convert and check the samples of the finished batch, if there is one; deliver them."""
        batch = device.finished
        if batch is None:
            return
        if batch.results is None:
            batch.results = self._decode(device, batch.windows, batch.decoding.samples)
        deliver(batch.jobs, batch.results)
        device.finished = None

    def _decode(
        self, device: Device, windows: list[CodeWindow], decode: Callable[[], list[Samples]]
    ) -> list[Result]:
        """Return the checked samples of `decode`; if it fails, decode the windows in halves."""
        try:
            with device.watch:
                decoded = list(zip(windows, decode(), strict=True))
        except Exception as exc:
            return self._decode_halves(device, windows, exc)
        return [self._checked(window, samples) for window, samples in decoded]

    def _decode_halves(
        self, device: Device, windows: list[CodeWindow], failure: Exception
    ) -> list[Result]:
        """Decode the halves of a batch that failed. A window that failed alone has failed."""
        if isinstance(failure, OutOfMemory):
            log.warning("out of memory decoding %d windows in one call", len(windows))
        if len(windows) == 1:
            log.error(
                "the codec failed on a window of %d frames",
                len(windows[0].codes),
                exc_info=failure,
            )
            metrics.DECODE_FAILURES.inc()
            return [CodecFailed("the codec failed")]
        middle = len(windows) // 2
        return [
            result
            for half in (windows[:middle], windows[middle:])
            for result in self._decode(device, half, partial(device.codec.decode, half))
        ]

    def _checked(self, window: CodeWindow, samples: Samples) -> Result:
        expected = window.output_frames * self.spec.samples_per_frame
        if len(samples) == expected and math.isfinite(np.vdot(samples, samples)):
            return samples
        metrics.DECODE_FAILURES.inc()
        log.error(
            "the codec returned %d samples instead of %d, or samples that are not finite",
            len(samples),
            expected,
        )
        return CodecFailed("the codec returned invalid samples")

    def _fail_waiting(self, error: CodecFailed | NotReady) -> None:
        with self._ready:
            self._closing = True
            waiting: list[PendingResult] = [*self._queue.drain()]
            if self.failure:
                waiting += self._failure_waiters.values()
            metrics.DECODE_QUEUE.set(0)
            self._ready.notify_all()
        deliver(waiting, [error] * len(waiting))
