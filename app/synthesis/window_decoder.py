"""Decoding of a request's codes, window by window, in time for real-time playback."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial

import numpy as np

from app.audio.silence import SilenceDetector
from app.audio.stitch import FADE_S, Stitcher
from app.codec import CodeWindow
from app.decode.load_estimate import SentWindow, StreamState
from app.decode.scheduler import Scheduler
from app.errors import EngineLength
from app.synthesis.audio_output import AudioOutput
from app.synthesis.code_stream import CodeStream
from app.synthesis.stats import SynthesisStats
from app.tokens.code_buffer import CodeBuffer, FrameLayout
from app.tokens.windows import LEAD_MARGIN_S, StreamProgress, Window, WindowPlan, WindowSchedule

# Share of the spare time in which a stream waits for more codes; the rest is for the decode queue.
WAIT_SHARE = 0.5
# Seconds of silence that flush all but a few milliseconds out of tempo, resampler and encoder.
FLUSH_SILENCE_S = 0.25
SLOWLY = 1.3  # factor on the expected duration; texts with many names or pauses last longer
LEAST_LEFT_S = 0.5  # seconds assumed to remain when speech exceeds the expected duration


class WindowDecoder:
    """Decode codes window by window and pass the audio to the output.

    A segment continues with the window size of the segment before it, and with the last codes of
    that segment as context.
    """

    def __init__(
        self,
        plan: WindowPlan,
        layout: FrameLayout,
        decoder: Scheduler,
        output: AudioOutput,
        stats: SynthesisStats,
    ) -> None:
        self._decoder = decoder
        self._output = output
        self._stats = stats
        self._frame_s = 1 / decoder.spec.frames_per_s / output.speed
        self._schedule = WindowSchedule(plan)
        self._context = CarriedContext(plan.left, layout.slots)
        self._stream: CodeStream | None = None  # of the segment that is being decoded

    async def decode_segment(self, stream: CodeStream) -> None:
        """Decode one generation as its codes arrive.

        Raises:
            CodecFailed: as `Scheduler.decode` does.
            EngineLength: the engine generated more than 3 s of silence; pauses of the text do not
                count.
        """
        spec, schedule = self._decoder.spec, self._schedule
        silence = SilenceDetector(spec.sample_rate_hz)
        stitcher = Stitcher(
            spec.samples_per_frame, 0 if spec.seamless else round(FADE_S * spec.sample_rate_hz)
        )
        schedule.start()
        self._stream = stream
        decode_s = 0.0
        while not schedule.finished:
            await self._wait_for_codes(stream, decode_s)
            if self._stats.first_codes_s is None:
                self._stats.first_codes_s = stream.first_window_ready_s
            requested_s = time.monotonic()
            deadline_s = self._output.deadline_s()
            decoded = await self._decoder.decode(partial(self._next_window, stream), deadline_s)
            decode_s = time.monotonic() - requested_s
            self._report_load(decoded.window, deadline_s - requested_s)
            samples = stitcher.feed(decoded.window, decoded.samples)
            if silence.feed(samples):
                raise EngineLength("the engine generated more than 3 s of silence", "silence")
            await self._output.write(samples)
            schedule.update(
                StreamProgress(
                    frames=stream.codes.frames,
                    s_per_frame=stream.s_per_frame,
                    frame_s=self._frame_s,
                    lead_s=self._output.lead_s,
                    decode_s=decode_s,
                )
            )
        self._context.append(stream.codes)
        await self._output.end_segment()

    async def _wait_for_codes(self, stream: CodeStream, decode_s: float) -> None:
        """Wait for the codes of the next window, or for fewer if the client runs dry meanwhile.

        The schedule assumes that the engine keeps its observed pace. An engine that sends its
        codes a sentence at a time may pause for longer than that.
        """
        schedule = self._schedule
        if schedule.min_frames_needed < schedule.frames_needed:
            spare_s = self._output.lead_s - decode_s - LEAD_MARGIN_S
            try:
                async with asyncio.timeout(max(0.0, WAIT_SHARE * spare_s)):
                    await stream.wait_for(schedule.frames_needed)
            except TimeoutError:
                await stream.wait_for(schedule.min_frames_needed)
        else:
            await stream.wait_for(schedule.frames_needed)

    async def pause(self, seconds: float) -> None:
        """Send silence; the next segment starts without context."""
        if seconds:
            spec = self._decoder.spec
            self._context.skip_frames(round(seconds * spec.frames_per_s))
            await self._output.write(np.zeros(round(seconds * spec.sample_rate_hz), np.float32))

    async def flush_with_silence(self) -> None:
        """Send silence while no text has arrived.

        It flushes the end of the last sentence out of the filters and the encoder.
        """
        self._stats.keep_segment(FLUSH_SILENCE_S, None)
        await self.pause(FLUSH_SILENCE_S)

    def restart_after_idle(self) -> None:
        """Restart with first-window size and deadline after an idle gap."""
        self._output.restart()
        self._schedule.restart()

    def state(self, expected_s: float) -> StreamState:
        """Return the decode demand of the rest of a response of about `expected_s` seconds."""
        output, stream = self._output, self._stream
        next_frames, growth, max_frames = self._schedule.next_frames
        arrived_s, pace = 0.0, math.inf
        if output.stalled:  # nothing is decoded for a client that does not read
            pace = 0.0
        elif stream is not None:
            arrived_s = (stream.codes.frames - self._schedule.done) * self._frame_s
            pace = stream.pace(time.monotonic()) * self._frame_s
        return StreamState(
            window_s=next_frames * self._frame_s,
            growth=growth,
            max_window_s=max_frames * self._frame_s,
            speed=output.speed,
            started=output.started,
            lead_s=output.lead_s,
            left_s=max(expected_s * SLOWLY - self._stats.audio_s, LEAST_LEFT_S),
            arrived_s=arrived_s,
            pace=pace,
        )

    def _report_load(self, window: Window, slack_s: float) -> None:
        """Report a window that is about to be sent to the load estimate."""
        if not self._output.whole:
            frames = window.stop - window.start
            self._decoder.window_sent(
                SentWindow(time.monotonic(), frames, slack_s, late=self._output.underrunning)
            )

    def _next_window(self, stream: CodeStream) -> tuple[Window, CodeWindow]:
        """Choose the window on the decode thread, so that it includes the latest codes."""
        codes = stream.codes
        ended = codes.ended  # read before `frames`, which is final once `ended` is True
        window = self._schedule.take(
            codes.frames, ended=ended, under_load=self._decoder.waiting > 1
        )
        stream.windows.append(window)  # also if its decoding fails
        return window, self._context.window(codes, window)


class CarriedContext:
    """The last codes of the earlier segments, which are the context of the next segment."""

    def __init__(self, frames: int, slots: int) -> None:
        """Start without codes; `frames` is the most context of a window."""
        self._max_frames = frames
        self._codes = np.zeros((0, slots), np.int32)
        self._position = 0  # position of the segment's first frame in the response

    def append(self, codes: CodeBuffer) -> None:
        """Append the last codes of a segment that has been decoded."""
        self._position += codes.frames
        joined = np.concatenate(
            [self._codes, codes.window(max(0, codes.frames - self._max_frames), codes.frames)]
        )
        self._codes = joined[max(0, len(joined) - self._max_frames) :]

    def skip_frames(self, frames: int) -> None:
        """Advance by `frames` frames of silence and drop the context."""
        self._position += frames
        self._codes = self._codes[:0]

    def window(self, codes: CodeBuffer, window: Window) -> CodeWindow:
        """Return a window's codes, with context from earlier segments if its own is too short."""
        more = min(len(self._codes), self._max_frames - window.begin)
        own = codes.window(window.start, window.stop)
        if more <= 0:
            return CodeWindow(own, self._position + window.start, window.begin - window.start)
        joined = np.concatenate([self._codes[-more:], own])
        return CodeWindow(joined, self._position - more, window.begin + more)
