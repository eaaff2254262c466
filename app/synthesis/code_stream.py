"""The codes of one generation while they arrive from the engine."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence

from app.errors import EngineLength
from app.tokens.code_buffer import CodeBuffer, FrameLayout
from app.tokens.repetition import LoopDetector
from app.tokens.windows import Window

UNKNOWN_PACE_S = 1.0  # seconds of a generation before its pace counts as known


class CodeStream:
    """Store the codes of one generation, measure their pace and let a task wait for them."""

    def __init__(
        self,
        layout: FrameLayout,
        max_tokens: int,
        repetition: LoopDetector | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use `repetition`, if given, to end a generation whose codes have become a loop."""
        self._clock = clock
        self.codes = CodeBuffer(layout, max_tokens)
        self.windows: list[Window] = []  # chosen so far, in order
        self._repetition = repetition
        self._needed = 0
        self._reached = asyncio.Event()
        self.started = asyncio.Event()  # set at the first codes or at the end
        self._first_frames = 0  # frames that arrived together at `first_s`
        # Times on `clock`, in seconds.
        self._begun_s = self._clock()  # start of the generation
        self.first_s = self._latest_s = 0.0  # arrival of the first and latest frames; 0 before them
        # Arrival of the frames of the first `wait_for`, or the end of the generation.
        self.first_window_ready_s: float | None = None

    def feed(self, numbers: Sequence[int]) -> None:
        """Append token numbers received from the engine.

        Raises:
            EngineProtocolError: as `CodeBuffer.feed` does.
            EngineLength: the codes repeat in a loop.
        """
        before = self.codes.frames
        self.codes.feed(numbers)
        if self.codes.frames == before:
            return
        if self._repetition is not None and self._repetition.feed(
            self.codes.window(0, self.codes.frames)
        ):
            raise EngineLength("the engine's output repeats", "repetition")
        self._latest_s = self._clock()
        if not before:
            self._first_frames, self.first_s = self.codes.frames, self._latest_s
            self.started.set()
        if self.codes.frames >= self._needed:
            self._notify(self._latest_s)

    def finish(self) -> None:
        """Mark the end of a successful generation and wake the waiting task."""
        self.codes.finish()
        self.started.set()
        self._notify(self._clock())

    async def wait_for(self, frames: int) -> None:
        """Wait until `frames` frames have arrived or the generation has ended."""
        self._needed = frames
        while self.codes.frames < frames and not self.codes.ended:
            self._reached.clear()
            await self._reached.wait()

    def _notify(self, now_s: float) -> None:
        self.first_window_ready_s = self.first_window_ready_s or now_s
        self._reached.set()

    def pace(self, now_s: float) -> float:
        """Return frames per second since the first ones, or since the start if none have arrived.

        The time since the latest frames is included. The result is infinite within
        UNKNOWN_PACE_S of the start and after the end of the generation.
        """
        since_s = self.first_s or self._begun_s
        if self.codes.ended or now_s < since_s + UNKNOWN_PACE_S:
            return math.inf
        return (self.codes.frames - self._first_frames) / (now_s - since_s)

    @property
    def s_per_frame(self) -> float:
        """Mean time between two frames; 0 before a second group of frames has arrived."""
        later = self.codes.frames - self._first_frames
        return (self._latest_s - self.first_s) / later if later > 0 else 0.0
