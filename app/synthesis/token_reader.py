"""The generations of a request, at most two of which are not decoded yet."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from app import metrics, tracing
from app.engine import Engine, Generation, Sampling
from app.errors import EngineError, EngineLength, EngineNoAudio
from app.synthesis.code_stream import CodeStream
from app.synthesis.request import Segment, Segments
from app.synthesis.stats import SynthesisStats
from app.text.duration import DurationBounds
from app.tokens.code_buffer import CodeBuffer, FrameLayout
from app.tokens.repetition import LoopDetector

SEGMENTS_AHEAD = 2  # segments that are being generated or wait for their decoding to end
StartedSegment = tuple[Segment, CodeStream | None]  # no stream for a segment that is only a pause


class TokenReader:
    """Generate the segments of a text in order.

    A segment starts after the segment before it has its first codes, so that it cannot delay them.
    It also waits until at most one earlier segment is not fully decoded, so that memory does not
    grow with the length of the text.
    """

    def __init__(
        self,
        engine: Engine,
        sampling: Sampling,
        layout: FrameLayout,
        frames_per_s: float,
        stats: SynthesisStats,
        *,
        may_be_cut: bool,
    ) -> None:
        """Prepare the generations.

        With `may_be_cut`, reaching the token limit is no error but ends the response.
        Each segment then waits for the end of the one before it.
        """
        self._engine = engine
        self._sampling = sampling
        self._layout = layout
        self._may_be_cut = may_be_cut
        self._frames_per_s = frames_per_s
        self._stats = stats
        self._slots = asyncio.Semaphore(SEGMENTS_AHEAD)
        self._started: asyncio.Queue[StartedSegment | None] = asyncio.Queue()

    async def read(self, segments: Segments) -> None:
        """Generate all segments as their texts arrive.

        Raises:
            ExceptionGroup: holds a ServiceError if the engine failed, or sent no audio, too much
                or too little of it, or if the text is invalid or late.
        """
        previous: CodeStream | None = None
        index = 0
        async with asyncio.TaskGroup() as group:
            while (segment := await segments.get(index)) is not None:
                index += 1
                if segment.prompt is None:
                    self._start(segment, None)
                    continue
                await self._slots.acquire()
                if previous is not None:
                    await previous.started.wait()
                sampling = self._segment_sampling(segment)
                stream = CodeStream(
                    self._layout, sampling.max_tokens, LoopDetector(self._frames_per_s)
                )
                self._start(segment, stream)
                generation = group.create_task(
                    self._generate(segment.prompt, sampling, stream, segment.bounds)
                )
                previous = stream
                if self._may_be_cut:
                    self._stats.finish_reason = (await generation).finish_reason
                    if self._stats.finish_reason == "length":
                        break
        self._started.put_nowait(None)

    async def next_segment(self) -> StartedSegment | None:
        """Return the next segment and its codes, which may still arrive; None after the last."""
        return await self._started.get()

    def release_slot(self) -> None:
        """Release the slot of a segment that has been decoded, so that another can start."""
        self._slots.release()

    def _start(self, segment: Segment, stream: CodeStream | None) -> None:
        self._stats.keep_segment(segment.pause_s, stream)
        self._started.put_nowait((segment, stream))

    def _segment_sampling(self, segment: Segment) -> Sampling:
        """Limit the tokens to the need of the segment's text, unless the caller set a limit."""
        sampling = self._sampling
        if self._may_be_cut:
            return sampling
        return replace(
            sampling,
            max_tokens=min(sampling.max_tokens, segment.bounds.max_frames * self._layout.slots),
        )

    async def _generate(
        self, prompt: str, sampling: Sampling, stream: CodeStream, bounds: DurationBounds
    ) -> Generation:
        codes = stream.codes
        begun_s = time.monotonic()
        try:
            with tracing.span("engine"):
                generation = await self._engine.generate(prompt, sampling, stream.feed)
                tracing.record("engine.first_token", begun_s, stream.first_s or begun_s)
        finally:
            metrics.ENGINE_TOKENS.inc(codes.tokens)
            metrics.TOKENS_DROPPED.inc(codes.dropped + codes.unfinished)
            self._stats.codec_tokens += codes.tokens
        error = self._generation_error(generation, codes, bounds)
        if error is not None:
            if generation.answer is not None:
                generation.answer.reject()
            error.answer = generation.answer
            raise error
        self._stats.prompt_tokens += generation.prompt_tokens or 0
        stream.finish()
        return generation

    def _generation_error(
        self, generation: Generation, codes: CodeBuffer, bounds: DurationBounds
    ) -> EngineError | None:
        """Return the reason why an ended generation cannot be the speech of its text, or None."""
        if not codes.frames:
            return EngineNoAudio("the engine finished without generating audio")
        if generation.finish_reason == "length" and not self._may_be_cut:
            return EngineLength("the engine reached its token limit before the end of the text")
        if generation.finish_reason == "stop" and codes.frames < bounds.min_frames:
            return EngineLength("the engine's speech is far too short for the text", "short")
        return None
