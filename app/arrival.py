"""A generation as it arrives: what the reader fills and the speaker waits for."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence

from app.errors import EngineLength
from app.speech.codes import CodeArray, FrameLayout
from app.speech.repetition import Repetition

UNKNOWN_PACE_S = 1.0  # an engine that has given nothing for so long may give nothing for long


class Arrival:
    """One generation as it arrives: codes, the pace at which they came, and a way to wait for them."""

    def __init__(
        self, layout: FrameLayout, max_tokens: int, repetition: Repetition | None = None
    ) -> None:
        """`repetition` ends the generation where it finds a loop."""
        self.codes = CodeArray(layout, max_tokens)
        self._repetition = repetition
        self._wanted = 0
        self._reached = asyncio.Event()
        self.begun = asyncio.Event()  # there are codes, or there will be none
        self.first_s = self._latest_s = 0.0  # of codes; 0 before there are any
        self.ready_s: float | None = (
            None  # when there was what the first call of `reach` waited for
        )
        self._first_frames = 0
        self.asked_s = time.monotonic()

    def feed(self, numbers: Sequence[int]) -> None:
        """Take token numbers off the engine.

        Raises:
            EngineProtocolError: as `CodeArray.feed` does.
            EngineLength: the codes have become a loop.
        """
        before = self.codes.frames
        self.codes.feed(numbers)
        if self.codes.frames == before:
            return
        if self._repetition is not None and self._repetition.feed(
            self.codes.window(0, self.codes.frames)
        ):
            raise EngineLength("the engine says the same over and over", "repetition")
        self._latest_s = time.monotonic()
        if not before:
            self._first_frames, self.first_s = self.codes.frames, self._latest_s
            self.begun.set()
        if self.codes.frames >= self._wanted:
            self._wake(self._latest_s)

    def finish(self) -> None:
        """The generation has ended well."""
        self.codes.finish()
        self.begun.set()
        self._wake(time.monotonic())

    async def reach(self, frames: int) -> None:
        """Wait until so many frames have arrived, or the end."""
        self._wanted = frames
        while self.codes.frames < frames and not self.codes.ended:
            self._reached.clear()
            await self._reached.wait()

    def _wake(self, now_s: float) -> None:
        self.ready_s = self.ready_s or now_s
        self._reached.set()

    def pace(self, now_s: float) -> float:
        """Return the frames that the engine gives in a second, its silence until now included.

        Infinite while that is not known: within the first moments of a generation, and after its end.
        """
        since_s = self.first_s or self.asked_s
        if self.codes.ended or now_s < since_s + UNKNOWN_PACE_S:
            return math.inf
        return (self.codes.frames - self._first_frames) / (now_s - since_s)

    @property
    def s_per_frame(self) -> float:
        """Observed time between two frames, over all that have arrived; 0 before there are two."""
        later = self.codes.frames - self._first_frames
        return (self._latest_s - self.first_s) / later if later > 0 else 0.0
