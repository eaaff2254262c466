"""The decode scheduler: windows of all requests become batches the moment a device is free."""

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
from app.codec import Codec, CodeWindow, Decoding, OutOfMemory, OverlappingCodec
from app.decode.device import Device
from app.decode.job import Job, Result, Waiter, settle
from app.decode.load_estimate import FIRST_WINDOW_S, CallCost, LoadEstimate
from app.decode.queue import BatchLimits, Queue
from app.decode.watchdog import Watch, Watchdog
from app.errors import CodecFailed, NotReady
from app.samples import Samples

log = logging.getLogger(__name__)

CALL_LIMIT_S = 60.0
USUAL_OVERLAP_S = 0.2  # of the windows that the load is predicted from


class DecodeHung(Exception):
    """A call has lasted so long that it will not come back."""


class Scheduler:
    """One thread for each codec given; each takes the most urgent jobs when its device is free.

    There is no collection delay: what waits while a device works is the next batch. A device that works by
    itself gets its next batch before the last one's sound is handed out, and a second batch behind a running
    one where a full batch waits, which could not become a better one.

    A thread that dies, or a call that does not come back, is the end: `failure` says which, everything is refused.
    """

    def __init__(
        self,
        codecs: Sequence[Codec],
        queue: Queue[Job],
        call_limit_s: float = CALL_LIMIT_S,
        limits: BatchLimits | None = None,
        call_cost: CallCost | None = None,
    ) -> None:
        """`call_limit_s`: a call that lasts longer has hung; `limits` are the queue's.

        `call_cost`: the cost of a call, where it was measured at the start.
        """
        self.spec = codecs[0].spec
        self.load = LoadEstimate(
            limits or BatchLimits(1),
            len(codecs),
            self.spec.plan(FIRST_WINDOW_S, USUAL_OVERLAP_S),
            self.spec.frames_per_s,
            call_cost,
        )
        self.failure: BaseException | None = None
        self._queue = queue
        self._ready = threading.Condition()
        self._closing = False
        self._onlookers: dict[asyncio.Future[Samples], Waiter] = {}
        self._over = threading.Event()  # every thread has ended, or one has failed
        self._watchdog = Watchdog(call_limit_s, self._give_up)
        self._devices = [
            Device(
                codec, self._watchdog.watch(), depth=2 if isinstance(codec, OverlappingCodec) else 1
            )
            for codec in codecs
        ]
        self._threads = [
            threading.Thread(target=self._work, args=(device,), name=f"decode-{index}", daemon=True)
            for index, device in enumerate(self._devices)
        ]
        self._left = len(self._threads)

    @property
    def waiting(self) -> int:
        """Windows that wait for a device."""
        return len(self._queue)

    def start(self) -> None:
        """Start the threads."""
        self._watchdog.start()
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Refuse what waits, let the running call end, and the threads (blocks); does not wait for one that hangs."""
        self._fail_waiting(NotReady("the server is closing"))
        self._over.wait()
        self._watchdog.close()

    async def decode(self, take: Callable[[], CodeWindow], deadline_s: float) -> Samples:
        """Decode one window; `take` is called on the decode thread when the device is about to start.

        `deadline_s` is on the clock of time.monotonic(); the earliest goes first. Cancelling drops
        the window, unless its call has begun.

        Raises:
            CodecFailed: the codec raised on this window, or returned something that is not sound.
            NotReady: the scheduler is closed.
        """
        loop = asyncio.get_running_loop()
        job, asked_s = Job(loop.create_future(), loop, deadline_s, take), time.monotonic()
        with self._ready:
            self._check_open()
            self._queue.push(job)
            metrics.DECODE_QUEUE.set(len(self._queue))
            self._ready.notify()
        samples = await job.future
        tracing.record("decode.wait", asked_s, job.begun_s)
        tracing.record("decode", job.begun_s, time.monotonic(), frames=job.open_frames())
        return samples

    async def lost(self) -> None:
        """Never return: raise CodecFailed when decoding has come to its end by a failure."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(loop.create_future(), loop)
        with self._ready:
            self._check_open()
            self._onlookers[waiter.future] = waiter
        try:
            await waiter.future
        finally:
            with self._ready:
                del self._onlookers[waiter.future]

    def _check_open(self) -> None:
        if self._closing:
            raise (
                CodecFailed("decoding has failed")
                if self.failure
                else NotReady("the server is closing")
            )

    def _work(self, device: Device) -> None:
        try:
            while self._turn(device):
                pass
        except BaseException as exc:
            try:
                settle(device.done, device.results)
            finally:  # whatever is wrong with the results, nobody is left to wait
                self._fail(exc, device)
            raise
        with self._ready:
            self._left -= 1
            if not self._left:
                self._over.set()

    def _give_up(self, hung: Watch) -> None:
        """A call does not come back: nobody waits for it any longer."""
        device = next(device for device in self._devices if device.watch is hung)
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]  (documented all the same)
        stack = traceback.format_stack(frames.get(hung.thread or 0))
        log.critical("a decode call has lasted %g s:\n%s", self._watchdog.limit_s, "".join(stack))
        self._fail(DecodeHung(f"a decode call has lasted {self._watchdog.limit_s:g} s"), device)

    def _fail(self, failure: BaseException, device: Device) -> None:
        self.failure = failure
        error = CodecFailed("decoding has failed")
        unanswered = device.unanswered
        settle(unanswered, [error] * len(unanswered))
        self._fail_waiting(error)
        self._over.set()

    def _turn(self, device: Device) -> bool:
        """Wait for the device, give it the next batch, answer the last one; False at the end."""
        if len(device.running) == device.depth or (device.running and not self._queue.full):
            device.results = self._collect(device)
            device.done = device.running.popleft().jobs
        if not device.running or self._queue.full:
            self._fill(device.taken, wait=not (device.running or device.done))
        if device.taken:
            device.begin()
        settle(device.done, device.results)
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

    def _collect(self, device: Device) -> list[Result]:
        """The results of the longest running call; one that fails is halved down to the culprit."""
        call = device.running[0]
        windows = [job.open() for job in call.jobs]
        results = self._decode(device, windows, call.decoding)
        now_s = time.monotonic()
        metrics.DECODE_SECONDS.observe(now_s - call.begun_s)
        busy_s, device.free_s = now_s - max(call.begun_s, device.free_s), now_s
        self.load.called(busy_s, len(windows), max(len(window.codes) for window in windows))
        return results

    def _decode(
        self, device: Device, windows: Sequence[CodeWindow], decoding: Decoding
    ) -> list[Result]:
        try:
            with device.watch:
                decoded = list(zip(windows, decoding(), strict=True))
        except Exception as exc:
            if isinstance(exc, OutOfMemory):
                log.warning("no memory to decode %d windows at once", len(windows))
            if len(windows) == 1:
                log.exception("the codec failed on a window of %d frames", len(windows[0].codes))
                metrics.DECODE_FAILURES.inc()
                return [CodecFailed("the codec failed")]
            half = len(windows) // 2
            decode = device.codec.decode
            halves = windows[:half], windows[half:]
            return [
                result
                for part in halves
                for result in self._decode(device, part, partial(decode, part))
            ]
        return [self._checked(window, samples) for window, samples in decoded]

    def _checked(self, window: CodeWindow, samples: Samples) -> Result:
        if len(samples) == window.sounding_frames * self.spec.samples_per_frame and math.isfinite(
            np.vdot(samples, samples)
        ):
            return samples
        metrics.DECODE_FAILURES.inc()
        log.error(
            "the codec returned %d samples for %d frames, or not numbers",
            len(samples),
            len(window.codes),
        )
        return CodecFailed("the codec returned something that is not sound")

    def _fail_waiting(self, error: CodecFailed | NotReady) -> None:
        with self._ready:
            self._closing = True
            waiting: list[Waiter] = [*self._queue.drain()]
            if self.failure:
                waiting += self._onlookers.values()
            metrics.DECODE_QUEUE.set(0)
            self._ready.notify_all()
        settle(waiting, [error] * len(waiting))
