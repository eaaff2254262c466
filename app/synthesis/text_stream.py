"""Split a text that is still being received into segments."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from app.errors import EmptyInput, InputTooLong, RequestError, TextTimeout
from app.process_time import ProcessTimeout
from app.synthesis.request import Segment
from app.text.pauses import PausedText, check_pauses, split_at_pauses
from app.text.sentence_stream import SentenceStream
from app.text.surrogates import SurrogatePairs

PIECE_CHARACTERS = 100  # split at once, which takes less than 10 ms in the worst case
# Returns the segments of whole sentences, none if they have no letter or digit to speak.
SegmentsOf = Callable[[PausedText], list[Segment]]
LONG_CHARACTERS = 1_000  # take 2 ms, in the worst case 20 ms
T = TypeVar("T")


class TextStream:
    """The segments of a text, each available as soon as the end of its sentence is certain.

    A long text is processed in pieces, between which the event loop serves other clients.
    """

    def __init__(
        self, segments_of: SegmentsOf, *, max_characters: int, idle_timeout_s: float
    ) -> None:
        """`idle_timeout_s` is the longest wait for more text."""
        self._segments_of = segments_of
        self._max_characters = max_characters
        self._idle_timeout_s = idle_timeout_s
        self._sentences = SentenceStream()
        self._pairs = SurrogatePairs()
        self._characters = 0
        self._pauses_s: list[float] = []
        self._silence_s = 0.0  # silence before the next segment
        self._has_speech = self._closed = False
        self._waiting = self._reading = False
        self._segments: list[Segment] = []
        self._complete = False
        self._changed = asyncio.Event()
        self._latest_s = asyncio.get_running_loop().time()
        self.text_error: RequestError | None = None

    @property
    def starved(self) -> bool:
        """True if the next segment is awaited and its text has not been received."""
        return self._waiting and not self._reading

    async def feed(self, text: str) -> None:
        """Add a piece of the text.

        Raises:
            InputTooLong: the text exceeds `max_characters`.
            UnsupportedValue: pauses are too long.
        """
        if self._closed:
            return
        text = self._pairs.feed(text)
        self._characters += len(text)
        if self._characters > self._max_characters:
            raise InputTooLong(
                f"input is longer than {self._max_characters} characters", param="text"
            )
        for at in range(0, max(1, len(text)), PIECE_CHARACTERS):
            if at:
                await asyncio.sleep(0)
            await self._write(
                lambda piece=text[at : at + PIECE_CHARACTERS]: self._sentences.feed(piece)
            )

    async def flush(self) -> None:
        """Release the text so far, even if its last sentence may continue."""
        await self._write(self._sentences.flush)
        self._pause()

    async def end(self) -> None:
        """Release the rest of the text, which is complete.

        Raises:
            EmptyInput: the text has no letters or digits.
            UnsupportedValue: pauses are too long.
        """
        await self._write(self._sentences.finish)
        if not self._has_speech and not self._closed:
            raise EmptyInput("the text has no letter or digit to speak", param="text")
        self._pause()
        if not self._closed:
            self._complete = True
            self._changed.set()

    def close(self, error: RequestError | None = None) -> None:
        """Drop the text that is left and that follows. `error` is the error in the text, if any."""
        self._closed = True
        self.text_error = error or self.text_error
        self._segments.clear()

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
        """Wait until the first segment is available; raises TextTimeout as `get` does."""
        await self._wait_for(0)

    async def get(self, index: int) -> Segment | None:
        """Return a segment once its text has been received, or None after the last.

        Raises:
            TextTimeout: no text was received for `idle_timeout_s`.
        """
        self._waiting = True
        try:
            await self._wait_for(index)
        finally:
            self._waiting = False
        return self._segments[index] if index < len(self._segments) else None

    async def _wait_for(self, index: int) -> None:
        while index >= len(self._segments) and not self._complete:
            self._changed.clear()
            await self._wait_for_more()

    async def _wait_for_more(self) -> None:
        ends_s = self._latest_s + self._idle_timeout_s
        try:
            async with ProcessTimeout(ends_s - asyncio.get_running_loop().time()):
                await self._changed.wait()
        except TimeoutError as exc:
            if self._latest_s + self._idle_timeout_s <= ends_s:
                raise TextTimeout("no text was received within TEXT_TIMEOUT_S") from exc

    async def _write(self, split: Callable[[], list[str]]) -> None:
        """Add the segments of the sentences that `split` returns, unless closed."""
        self._latest_s = asyncio.get_running_loop().time()
        if self._closed:
            return
        self._reading = True
        try:
            for paused_text in (
                paused_text for sentence in split() for paused_text in split_at_pauses(sentence)
            ):
                await self._add(paused_text)
        finally:
            self._reading = False

    async def _add(self, paused_text: PausedText) -> None:
        self._pauses_s.append(paused_text.pause_s)
        check_pauses(self._pauses_s)
        self._silence_s += paused_text.pause_s
        preceded = PausedText(self._silence_s, paused_text.text)
        segments = await run_in_thread_if_long(
            paused_text.text, partial(self._segments_of, preceded)
        )
        if segments:
            self._silence_s, self._has_speech = 0.0, True
            self._put(segments)

    def _pause(self) -> None:
        """Add the silence after the last segment."""
        if self._has_speech and self._silence_s:
            self._put([Segment(None, self._silence_s)])
            self._silence_s = 0.0

    def _put(self, segments: list[Segment]) -> None:
        if not self._closed:
            self._segments += segments
            self._changed.set()


async def run_in_thread_if_long(text: str, read: Callable[[], T]) -> T:
    """Return the result of `read`, which runs in a thread if the text is long."""
    return read() if len(text) <= LONG_CHARACTERS else await asyncio.to_thread(read)
