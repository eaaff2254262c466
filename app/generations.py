"""The generations of a request: at most two at a time, at most two parts of the text ahead of the speaker."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from app import metrics, tracing
from app.arrival import Arrival
from app.engine import Engine, FinishReason, Generation, Sampling
from app.errors import EngineError, EngineLength, EngineNoAudio
from app.parts import Part, Parts
from app.speech.codes import CodeArray, FrameLayout
from app.speech.duration import Bounds
from app.speech.repetition import Repetition
from app.trail import Trail

PARTS_AHEAD = 2
Begun = tuple[Part, Arrival | None]  # None: a pause alone


class Generations:
    """Reads the parts of a text off the engine, in order.

    A part begins once the one before has given codes, so that the first is never late for the second's sake,
    and once all but the last part before it has been spoken: memory does not grow with the text.
    """

    def __init__(
        self,
        engine: Engine,
        sampling: Sampling,
        layout: FrameLayout,
        frames_per_s: float,
        *,
        may_be_cut: bool,
        trail: Trail | None = None,
    ) -> None:
        """`may_be_cut`: reaching the token limit is no error but ends the answer, so one part waits for another."""
        self._engine, self._sampling, self._layout, self._may_be_cut = (
            engine,
            sampling,
            layout,
            may_be_cut,
        )
        self._frames_per_s, self._trail = frames_per_s, trail
        self._room = asyncio.Semaphore(PARTS_AHEAD)
        self._begun: asyncio.Queue[Begun | None] = asyncio.Queue()
        self.codec_tokens = self.prompt_tokens = 0
        self.finish_reason: FinishReason = "stop"

    async def read(self, parts: Parts) -> None:
        """Generate all parts, as they come.

        Raises:
            ServiceError: the engine's failure, no audio, or too much (in an ExceptionGroup of the parts at work),
                or what was wrong with the text.
        """
        before: Arrival | None = None
        async with asyncio.TaskGroup() as running:
            async for part in parts:
                if part.prompt is None:
                    self._follow(part, None)
                    self._begun.put_nowait((part, None))
                    continue
                await self._room.acquire()
                if before is not None:
                    await before.begun.wait()
                sampling = self._sampling_of(part)
                before = Arrival(self._layout, sampling.max_tokens, Repetition(self._frames_per_s))
                self._follow(part, before)
                self._begun.put_nowait((part, before))
                generation = running.create_task(
                    self._generate(part.prompt, sampling, before, part.bounds)
                )
                if self._may_be_cut:
                    self.finish_reason = (await generation).finish_reason
                    if self.finish_reason == "length":
                        break
        self._begun.put_nowait(None)

    async def next(self) -> Begun | None:
        """The next part and its codes, which may still be arriving; None after the last."""
        return await self._begun.get()

    def spoken(self) -> None:
        """A part is spoken: there is room for another."""
        self._room.release()

    def _follow(self, part: Part, arrival: Arrival | None) -> None:
        if self._trail is not None:
            self._trail.pause(part.pause_s)
            if arrival is not None:
                self._trail.begin(arrival.codes)

    def _sampling_of(self, part: Part) -> Sampling:
        """With no more tokens than the part's text can need, unless the caller has set the limit."""
        sampling = self._sampling
        if self._may_be_cut:
            return sampling
        return replace(
            sampling,
            max_tokens=min(sampling.max_tokens, part.bounds.most_frames * self._layout.slots),
        )

    async def _generate(
        self, prompt: str, sampling: Sampling, arrival: Arrival, bounds: Bounds
    ) -> Generation:
        codes = arrival.codes
        begun_s = time.monotonic()
        try:
            with tracing.span("engine"):
                generation = await self._engine.generate(prompt, sampling, arrival.feed)
                tracing.record("engine.first_token", begun_s, arrival.first_s or begun_s)
        finally:
            metrics.ENGINE_TOKENS.inc(codes.tokens)
            metrics.TOKENS_DROPPED.inc(codes.dropped + codes.unfinished)
            self.codec_tokens += codes.tokens
        fault = self._fault_of(generation, codes, bounds)
        if fault is not None:
            if generation.answer is not None:
                generation.answer.reject()
            fault.answer = generation.answer
            raise fault
        self.prompt_tokens += generation.prompt_tokens or 0
        arrival.finish()
        return generation

    def _fault_of(
        self, generation: Generation, codes: CodeArray, bounds: Bounds
    ) -> EngineError | None:
        """The reason why a generation that has ended is not the speech of its text."""
        if not codes.frames:
            return EngineNoAudio("the engine finished without audio")
        if generation.finish_reason == "length" and not self._may_be_cut:
            return EngineLength("the engine reached its token limit before the end of the text")
        if generation.finish_reason == "stop" and codes.frames < bounds.least_frames:
            return EngineLength("the engine finished long before the end of the text", "short")
        return None
