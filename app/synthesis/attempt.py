"""One attempt at a response, with its own generations, windows and encoder."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.audio.encoders import Encoder
from app.audio.whole_body import WholeBody
from app.decode.load_estimate import StreamState
from app.decode.scheduler import Scheduler
from app.engine import Engine, Sampling
from app.synthesis.audio_output import (
    AudioOutput,
    LoudnessTarget,
    OutputOptions,
    Sink,
    SynthesisStats,
)
from app.synthesis.recording import ReplayRecorder
from app.synthesis.segments import Segments
from app.synthesis.token_reader import StartedSegment, TokenReader
from app.synthesis.window_decoder import WindowDecoder
from app.tokens.code_buffer import FrameLayout
from app.tokens.windows import WindowPlan

SLOWLY = 1.3  # factor on the expected duration; texts with many names or pauses last longer
LEAST_LEFT_S = 0.5  # seconds assumed to remain when speech exceeds the expected duration


@dataclass(frozen=True, slots=True)
class SynthesisRequest:
    """A validated request; nothing is optional and nothing is checked again."""

    segments: Segments
    sampling: Sampling
    may_be_cut: bool  # True if the caller set max_tokens; reaching that limit is then no error
    playback: OutputOptions
    layout: FrameLayout
    plan: WindowPlan
    levels: LoudnessTarget
    limit_s: float
    # Expected duration as the client hears it; infinite while the text is still being received.
    expected_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Stage:
    """The engine, decoder, encoder factory and sink that all attempts of a request use."""

    engine: Engine
    decoder: Scheduler
    make_encoder: Callable[[], Encoder]
    sink: Sink


class Attempt:
    """The objects that a second attempt must not share with the first."""

    def __init__(
        self,
        request: SynthesisRequest,
        stage: Stage,
        limit: asyncio.Timeout,
        *,
        for_replay: bool = False,
    ) -> None:
        """Build the attempt; sent audio extends `limit`.

        With `for_replay` the codes and windows are recorded for a replay.
        """
        spec = stage.decoder.spec
        self._segments = request.segments
        self.recorder = ReplayRecorder(spec.name, request.plan.left) if for_replay else None
        self.reader = TokenReader(
            stage.engine,
            request.sampling,
            request.layout,
            spec.frames_per_s,
            may_be_cut=request.may_be_cut,
            recorder=self.recorder,
        )
        self._output = AudioOutput(
            stage.make_encoder(), stage.sink, request.levels, spec.sample_rate_hz, request.playback
        )
        self.window_decoder = WindowDecoder(
            request.plan, request.layout, stage.decoder, self._output, limit, recorder=self.recorder
        )

    async def run(self) -> WholeBody | None:
        """Generate, decode and send the response; return its bytes if it is sent whole.

        Raises:
            ExceptionGroup: holds a ServiceError if the engine, the codec or the text failed.
        """
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(self.reader.read(self._segments))
            await self._speak()
            await reader
        return self._output.body

    def spoken(self, begun_s: float, retries: int) -> SynthesisStats:
        """Return the statistics so far; the request began at `begun_s` (time.monotonic())."""
        output, reader = self._output, self.reader
        first_write_s = output.first_write_s or begun_s
        return SynthesisStats(
            audio_s=output.audio_s,
            codec_tokens=reader.codec_tokens,
            prompt_tokens=reader.prompt_tokens,
            first_audio_s=first_write_s - begun_s,
            first_window_s=max(0.0, first_write_s - (self.window_decoder.ready_s or first_write_s)),
            total_s=time.monotonic() - begun_s,
            finish_reason=reader.finish_reason,
            retries=retries,
        )

    def state(self, expected_s: float) -> StreamState:
        """Return the attempt's remaining decode demand, given a total duration of `expected_s`."""
        output = self._output
        window_s, growth, max_window_s = self.window_decoder.windows_s
        arrived_s, pace = self.window_decoder.stream_state()
        return StreamState(
            window_s=window_s,
            growth=growth,
            max_window_s=max_window_s,
            speed=output.speed,
            started=output.started,
            lead_s=output.lead_s,
            left_s=max(expected_s * SLOWLY - output.audio_s, LEAST_LEFT_S),
            arrived_s=arrived_s,
            pace=pace,
        )

    async def _speak(self) -> None:
        """Process the parts in order; the caller's max_tokens may end the response early."""
        while (begun := await self._next()) is not None:
            segment, stream = begun
            await self.window_decoder.pause(segment.pause_s)
            if stream is not None:
                await self.window_decoder.decode_segment(stream)
                self.reader.release_slot()
        await self._output.finish()

    async def _next(self) -> StartedSegment | None:
        """Return the next part, or None after the last.

        If its text has not arrived when the client's buffer runs dry, send silence and wait.
        """
        try:
            async with asyncio.timeout(max(0.0, self._output.lead_s)):
                return await self.reader.next_segment()
        except TimeoutError:
            if not (self._segments.starved and self._output.started):
                return await self.reader.next_segment()
        await self.window_decoder.flush_with_silence()
        begun = await self.reader.next_segment()
        self.window_decoder.restart_after_idle()
        return begun
