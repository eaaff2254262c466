"""The generations of a request: at most two at a time, at most two parts of the text ahead of the speaker."""

from __future__ import annotations

import asyncio
import time

from app import metrics, tracing
from app.arrival import Arrival
from app.engine import Engine, Generation, Sampling
from app.errors import EngineLength, EngineNoAudio
from app.parts import Part, Parts
from app.speech.codes import FrameLayout

PARTS_AHEAD = 2
Begun = tuple[Part, Arrival | None]  # None: a pause alone


class Generations:
    """Reads the parts of a text off the engine, in order.

    A part begins once the one before has given codes, so that the first is never late for the second's sake,
    and once all but the last part before it has been spoken: memory does not grow with the text.
    """

    def __init__(self, engine: Engine, sampling: Sampling, layout: FrameLayout, *, may_be_cut: bool) -> None:
        """`may_be_cut`: reaching the token limit is no error but ends the answer, so one part waits for another."""
        self._engine, self._sampling, self._layout, self._may_be_cut = engine, sampling, layout, may_be_cut
        self._room = asyncio.Semaphore(PARTS_AHEAD)
        self._begun: asyncio.Queue[Begun | None] = asyncio.Queue()
        self.codec_tokens = self.prompt_tokens = 0

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
                    self._begun.put_nowait((part, None))
                    continue
                await self._room.acquire()
                if before is not None:
                    await before.begun.wait()
                before = Arrival(self._layout, self._sampling.max_tokens)
                self._begun.put_nowait((part, before))
                generation = running.create_task(self._generate(part.prompt, before))
                if self._may_be_cut and (await generation).finish_reason == "length":
                    break
        self._begun.put_nowait(None)

    async def next(self) -> Begun | None:
        """The next part and its codes, which may still be arriving; None after the last."""
        return await self._begun.get()

    def spoken(self) -> None:
        """A part is spoken: there is room for another."""
        self._room.release()

    async def _generate(self, prompt: str, arrival: Arrival) -> Generation:
        codes = arrival.codes
        begun_s = time.monotonic()
        try:
            with tracing.span("engine"):
                generation = await self._engine.generate(prompt, self._sampling, arrival.feed)
                tracing.record("engine.first_token", begun_s, arrival.first_s or begun_s)
        finally:
            metrics.ENGINE_TOKENS.inc(codes.tokens)
            metrics.TOKENS_DROPPED.inc(codes.dropped + codes.unfinished)
            self.codec_tokens += codes.tokens
        if not codes.frames:
            raise EngineNoAudio("the engine finished without audio")
        if generation.finish_reason == "length" and not self._may_be_cut:
            raise EngineLength("the engine reached its token limit before the end of the text")
        self.prompt_tokens += generation.prompt_tokens or 0
        arrival.finish()
        return generation
