"""A generation as it arrives: what the reader fills and the speaker waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from app.speech.codes import CodeArray, FrameLayout


class Arrival:
    """One generation as it arrives: codes, the pace at which they came, and a way to wait for them."""

    def __init__(self, layout: FrameLayout, max_tokens: int) -> None:
        self.codes = CodeArray(layout, max_tokens)
        self._wanted = 0
        self._reached = asyncio.Event()
        self._first_s = self._latest_s = 0.0
        self._first_frames = 0

    def feed(self, numbers: Sequence[int]) -> None:
        """Take token numbers off the engine."""
        before = self.codes.frames
        self.codes.feed(numbers)
        if self.codes.frames == before:
            return
        self._latest_s = time.monotonic()
        if not before:
            self._first_frames, self._first_s = self.codes.frames, self._latest_s
        if self.codes.frames >= self._wanted:
            self._reached.set()

    def finish(self) -> None:
        """The generation has ended well."""
        self.codes.finish()
        self._reached.set()

    async def reach(self, frames: int) -> None:
        """Wait until so many frames have arrived, or the end."""
        self._wanted = frames
        while self.codes.frames < frames and not self.codes.ended:
            self._reached.clear()
            await self._reached.wait()

    @property
    def s_per_frame(self) -> float:
        """Observed time between two frames, over all that have arrived; 0 before there are two."""
        later = self.codes.frames - self._first_frames
        return (self._latest_s - self._first_s) / later if later > 0 else 0.0
