"""The speaker of a request: codes into sound, window by window, at the listener's pace."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial

import numpy as np

from app.arrival import Arrival
from app.codec import CodeWindow
from app.decode.load_estimate import SentWindow
from app.decode.scheduler import Scheduler
from app.errors import EngineLength
from app.listener import Listener
from app.samples import Samples
from app.speech.codes import CodeArray, FrameLayout
from app.speech.quiet import Quiet
from app.speech.stitch import FADE_S, Stitcher
from app.speech.windows import LEAD_MARGIN_S, Supply, Window, WindowPlan, WindowSchedule
from app.trail import Trail

PATIENCE = 0.5  # share of the spare time that a stream waits for more codes; the rest is for the decode queue
STALLED_S = 0.5  # in which a client that reads takes what it is given
REST_S = 0.25  # of silence push all but a few milliseconds through tempo, resampler and encoder


class Speaker:
    """Decodes codes window by window, and lets the listener hear them.

    The windows of a part begin where the part before has left off: in size, and with its last codes as context.
    """

    def __init__(
        self,
        plan: WindowPlan,
        layout: FrameLayout,
        decoder: Scheduler,
        listener: Listener,
        limit: asyncio.Timeout,
        *,
        trail: Trail | None = None,
    ) -> None:
        """`limit` moves with the audio sent: who listens in real time needs as long as it lasts."""
        self._trail = trail
        self._decoder, self.listener = decoder, listener
        self._frame_s = 1 / decoder.spec.frames_per_s / listener.speed
        self._limit, self._ends_s = limit, limit.when() or 0.0
        self._schedule = WindowSchedule(plan)
        self._before = Before(plan.left, layout.slots)
        self.ready_s: float | None = None  # when the first window's codes were there
        self._arrival: Arrival | None = None  # of the part that is being spoken
        self._sending_s = math.inf  # when the client was last given sound that it has not taken

    async def speak(self, arrival: Arrival) -> None:
        """Speak one generation, as it arrives.

        Raises:
            CodecFailed: as `Scheduler.decode` does.
            EngineLength: nothing has been heard of it for long; pauses that the text asks for are not its silence.
        """
        spec, schedule = self._decoder.spec, self._schedule
        quiet = Quiet(spec.sample_rate_hz)
        stitcher = Stitcher(
            spec.samples_per_frame, 0 if spec.exact else round(FADE_S * spec.sample_rate_hz)
        )
        taken: list[Window] = [] if self._trail is None else self._trail.windows_of(arrival.codes)
        schedule.begin()
        self._arrival, decode_s = arrival, 0.0
        while not schedule.finished:
            await self._reach(arrival, decode_s)
            self.ready_s = self.ready_s or arrival.ready_s
            asked_s, deadline_s = time.monotonic(), self.listener.deadline_s()
            take = partial(self._take, arrival.codes, taken)
            decoded = await self._decoder.decode(take, deadline_s)
            decode_s = time.monotonic() - asked_s
            self._note(taken[-1], deadline_s - asked_s)
            sound = stitcher.feed(taken[-1], decoded)
            if quiet.feed(sound):
                raise EngineLength("the engine speaks silence", "silence")
            await self._hear(sound)
            schedule.grow(
                Supply(
                    frames=arrival.codes.frames,
                    s_per_frame=arrival.s_per_frame,
                    frame_s=self._frame_s,
                    lead_s=self.listener.lead_s,
                    decode_s=decode_s,
                )
            )
        self._before.keep(arrival.codes)
        await self.listener.end_part()

    async def _reach(self, arrival: Arrival, decode_s: float) -> None:
        """Wait for the codes of the next window; for fewer of them where the client would run dry meanwhile.

        The schedule trusts the pace that the engine has shown. One that gives its codes a sentence at a time may
        then pause for longer than that.
        """
        schedule = self._schedule
        if schedule.least_wanted < schedule.wanted:
            try:
                async with asyncio.timeout(
                    max(0.0, PATIENCE * (self.listener.lead_s - decode_s - LEAD_MARGIN_S))
                ):
                    await arrival.reach(schedule.wanted)
            except TimeoutError:
                await arrival.reach(schedule.least_wanted)
        else:
            await arrival.reach(schedule.wanted)

    async def pause(self, seconds: float) -> None:
        """Say nothing for a while; what comes then begins anew."""
        if seconds:
            self._before.forget(round(seconds * self._decoder.spec.frames_per_s))
            await self._hear(
                np.zeros(round(seconds * self._decoder.spec.sample_rate_hz), np.float32)
            )

    async def rest(self) -> None:
        """Nothing is there to say: let the listener hear the end of what was said, which the filters keep back."""
        if self._trail is not None:
            self._trail.pause(REST_S)
        await self.pause(REST_S)

    def begin_again(self) -> None:
        """There is more to say after a rest: it is as urgent as the beginning was, and in windows as small."""
        self.listener.begin_again()
        self._schedule.restart()

    async def _hear(self, samples: Samples) -> None:
        self._sending_s = time.monotonic()
        await self.listener.hear(samples)
        self._sending_s = math.inf
        self._limit.reschedule(self._ends_s + self.listener.audio_s)

    @property
    def windows_s(self) -> tuple[float, float, float]:
        """Sound in the next window as the client hears it, the growth of those behind it, and the most in one."""
        next_frames, growth, most_frames = self._schedule.coming
        return next_frames * self._frame_s, growth, most_frames * self._frame_s

    def supply(self) -> tuple[float, float]:
        """Return the seconds of sound whose codes wait to be decoded, and how many more the engine gives in a second.

        Seconds as the client hears them; infinite while the engine has not shown its pace. Zero for a client that
        does not read: nothing is decoded for it.
        """
        now_s = time.monotonic()
        if now_s > self._sending_s + STALLED_S:
            return 0.0, 0.0
        if self._arrival is None:
            return 0.0, math.inf
        arrived = self._arrival.codes.frames - self._schedule.done
        return arrived * self._frame_s, self._arrival.pace(now_s) * self._frame_s

    def _note(self, window: Window, slack_s: float) -> None:
        """Tell the load estimate of a window that a client is about to hear."""
        if not self.listener.whole:
            frames = window.stop - window.start
            self._decoder.load.sent(
                SentWindow(time.monotonic(), frames, slack_s, late=self.listener.dry)
            )

    def _take(self, codes: CodeArray, taken: list[Window]) -> CodeWindow:
        """Choose the window on the decode thread, so that it holds all that has arrived by then."""
        ended = codes.ended  # before `frames`: once the end is seen, the count is final
        window = self._schedule.take(codes.frames, ended=ended, pressed=self._decoder.waiting > 1)
        taken.append(window)
        return self._before.window(codes, window)


class Before:
    """The last codes of the parts before: the context in which the next one begins."""

    def __init__(self, frames: int, slots: int) -> None:
        """`frames`: how many a window may have as context."""
        self._most = frames
        self._codes = np.zeros((0, slots), np.int32)
        self._place = 0  # of the part's first frame in the answer

    def keep(self, codes: CodeArray) -> None:
        """The part has ended."""
        self._place += codes.frames
        joined = np.concatenate(
            [self._codes, codes.window(max(0, codes.frames - self._most), codes.frames)]
        )
        self._codes = joined[max(0, len(joined) - self._most) :]

    def forget(self, frames: int) -> None:
        """So many frames of something else come between."""
        self._place += frames
        self._codes = self._codes[:0]

    def window(self, codes: CodeArray, window: Window) -> CodeWindow:
        """A window with as much context as it may have, from the part before where its own does not reach."""
        more = min(len(self._codes), self._most - window.begin) if window.start == 0 else 0
        own = codes.window(window.start, window.stop)
        if more <= 0:
            return CodeWindow(own, self._place + window.start, window.begin - window.start)
        joined = np.concatenate([self._codes[-more:], own])
        return CodeWindow(joined, self._place - more, window.begin + more)
