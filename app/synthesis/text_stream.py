"""Split a text that is still being received into segments to speak."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Self

from app.errors import EmptyInput, InputTooLong, RequestError, TextTimeout
from app.process_time import ProcessTimeout
from app.synthesis.segments import Segment
from app.synthesis.text_thread import run_in_thread_if_long
from app.text.pauses import PausedText, check_pauses, split_at_pauses
from app.text.sentence_stream import SentenceStream
from app.text.surrogates import SurrogatePairs

STRETCH_CHARACTERS = 100  # split at once, which takes less than 10 ms in the worst case
# Returns the segments of a passage of whole sentences, which are none if it has nothing to speak.
PartsOf = Callable[[PausedText], list[Segment]]


class TextStream:
    """Yields the segments of a text, each as soon as the end of its sentence is certain.

    A long text is processed in pieces, between which the event loop serves other clients.
    """

    def __init__(self, parts_of: PartsOf, *, longest: int, gap_s: float) -> None:
        """`longest`: most characters of the text. `gap_s`: longest wait for more text."""
        self._parts_of = parts_of
        self._longest = longest
        self._idle_timeout_s = gap_s
        self._feed, self._pairs = SentenceStream(), SurrogatePairs()
        self._characters = 0
        self._pauses_s: list[float] = []
        self._silence_s = 0.0  # silence before the next segment
        self._has_speech = self._closed = False
        self._waiting = self._reading = False
        self._parts: deque[Segment | None] = deque()
        self._written = asyncio.Event()
        self._latest_s = asyncio.get_running_loop().time()
        self.text_error: RequestError | None = None

    @property
    def starved(self) -> bool:
        """True if the next segment is awaited and its text has not been received."""
        return self._waiting and not self._reading

    async def feed(self, text: str) -> None:
        """Add a piece of the text.

        Raises:
            InputTooLong: the text exceeds `longest` characters.
            UnsupportedValue: pauses are too long.
        """
        if self._closed:
            return
        text = self._pairs.feed(text)
        self._characters += len(text)
        if self._characters > self._longest:
            raise InputTooLong(f"input is longer than {self._longest} characters", param="text")
        for at in range(0, max(1, len(text)), STRETCH_CHARACTERS):
            if at:
                await asyncio.sleep(0)
            await self._write(
                lambda stretch=text[at : at + STRETCH_CHARACTERS]: self._feed.feed(stretch)
            )

    async def flush(self) -> None:
        """Release the text so far for speaking, even if its last sentence may continue."""
        await self._write(self._feed.flush)
        self._pause()

    async def end(self) -> None:
        """Release the rest of the text, which is complete.

        Raises:
            EmptyInput: the text has no letters or digits.
            UnsupportedValue: pauses are too long.
        """
        await self._write(self._feed.finish)
        if not self._has_speech and not self._closed:
            raise EmptyInput("the text has no letter or digit to speak", param="text")
        self._pause()
        self._put([None])

    def close(self, fault: RequestError | None = None) -> None:
        """Drop the text that is left and that follows. `fault`: the error in the text, if any."""
        self._closed, self.text_error = True, fault or self.text_error
        self._parts.clear()

    @contextmanager
    def raise_text_error(self) -> Generator[None]:
        """Within this block, raise a cancellation caused by invalid text as its RequestError."""
        try:
            yield
        except asyncio.CancelledError:
            if self.text_error is None:
                raise
            raise self.text_error from None

    async def wait_for_text(self) -> None:
        """Wait until a segment is available.

        Raises:
            TextTimeout: no text was received for `gap_s`.
        """
        while not self._parts:
            self._written.clear()
            await self._more()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Segment:
        """Return the next segment. Raises TextTimeout if no text is received for `gap_s`."""
        self._waiting = not self._parts
        await self.wait_for_text()
        self._waiting = False
        segment = self._parts.popleft()
        if segment is None:
            raise StopAsyncIteration
        return segment

    async def _more(self) -> None:
        ends_s = self._latest_s + self._idle_timeout_s
        try:
            async with ProcessTimeout(ends_s - asyncio.get_running_loop().time()):
                await self._written.wait()
        except TimeoutError as exc:
            if self._latest_s + self._idle_timeout_s <= ends_s:
                raise TextTimeout("no text was received within TEXT_TIMEOUT_S") from exc

    async def _write(self, cut: Callable[[], list[str]]) -> None:
        """Add the segments of the sentences that `cut` returns, unless closed."""
        self._latest_s = asyncio.get_running_loop().time()
        if self._closed:
            return
        self._reading = True
        try:
            for paused_text in (
                paused_text for sentence in cut() for paused_text in split_at_pauses(sentence)
            ):
                await self._add(paused_text)
        finally:
            self._reading = False

    async def _add(self, paused_text: PausedText) -> None:
        self._pauses_s.append(paused_text.pause_s)
        check_pauses(self._pauses_s)
        self._silence_s += paused_text.pause_s
        preceded = PausedText(self._silence_s, paused_text.text)
        parts = await run_in_thread_if_long(paused_text.text, partial(self._parts_of, preceded))
        if parts:
            self._silence_s, self._has_speech = 0.0, True
            self._put(parts)

    def _pause(self) -> None:
        """Add the silence after the last segment."""
        if self._has_speech and self._silence_s:
            self._put([Segment(None, self._silence_s)])
            self._silence_s = 0.0

    def _put(self, parts: Sequence[Segment | None]) -> None:
        if not self._closed:
            self._parts.extend(parts)
            self._written.set()
