"""The text of an utterance while somebody writes it: pieces in, parts out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Self

from app.parts import Part
from app.request_errors import EmptyInput, InputTooLong, RequestError, TextTimeout
from app.speech.incremental import SentenceFeed
from app.speech.pauses import Passage, check_pauses, passages

PartsOf = Callable[[Passage], list[Part]]  # of a passage of whole sentences; none where it says nothing


class Script:
    """Parts in the order of the text, each as soon as its sentence is certain."""

    def __init__(self, parts_of: PartsOf, *, longest: int, gap_s: float) -> None:
        """`longest`: characters in all; `gap_s`: the longest wait for more of them."""
        self._parts_of, self._longest, self._gap_s = parts_of, longest, gap_s
        self._feed = SentenceFeed()
        self._characters = 0
        self._pauses_s: list[float] = []
        self._silence_s = 0.0  # to stand before the next part
        self._speaks = self._closed = False
        self._parts: deque[Part | None] = deque()
        self._written = asyncio.Event()
        self._latest_s = asyncio.get_running_loop().time()
        self.fault: RequestError | None = None
        self.late = False

    def feed(self, text: str) -> None:
        """Take a piece of the text.

        Raises:
            InputTooLong: more than `longest` by now.
            UnsupportedValue: pauses that are too long.
        """
        self._characters += len(text)
        if self._characters > self._longest and not self._closed:
            raise InputTooLong(f"input is longer than {self._longest} characters", param="text")
        self._write(self._feed.feed(text))

    def flush(self) -> None:
        """What is there shall be spoken."""
        self._write(self._feed.flush())
        self._pause()

    def end(self) -> None:
        """The text is complete.

        Raises:
            EmptyInput: it held nothing to speak.
            UnsupportedValue: pauses that are too long.
        """
        self._write(self._feed.finish())
        if not self._speaks and not self._closed:
            raise EmptyInput("the text holds nothing to speak", param="text")
        self._pause()
        self._put([None])

    def close(self, fault: RequestError | None = None) -> None:
        """Nobody will speak any more of it: what comes is dropped. `fault`: what is wrong with the text."""
        self._closed, self.fault = True, fault or self.fault
        self._parts.clear()

    @contextmanager
    def spoken(self) -> Generator[None]:
        """A block that speaks it; raises RequestError where it is cancelled because of the text's fault."""
        try:
            yield
        except asyncio.CancelledError:
            if self.fault is None:
                raise
            raise self.fault from None

    async def begun(self) -> None:
        """Return when there is something to speak.

        Raises:
            TextTimeout: no text has come for `gap_s`.
        """
        while not self._parts:
            self._written.clear()
            await self._more()

    def __aiter__(self) -> Self:
        """The same: its parts are given once."""
        return self

    async def __anext__(self) -> Part:
        """The next part; raises StopAsyncIteration after the last, TextTimeout where none comes."""
        self.late = not self._parts
        await self.begun()
        self.late = False
        part = self._parts.popleft()
        if part is None:
            raise StopAsyncIteration
        return part

    async def _more(self) -> None:
        ends_s = self._latest_s + self._gap_s
        try:
            async with asyncio.timeout_at(ends_s):
                await self._written.wait()
        except TimeoutError as exc:
            if self._latest_s + self._gap_s <= ends_s:
                raise TextTimeout("no more text came within the limit") from exc

    def _write(self, pieces: Sequence[str]) -> None:
        self._latest_s = asyncio.get_running_loop().time()
        if self._closed:
            return
        for passage in (passage for piece in pieces for passage in passages(piece)):
            self._pauses_s.append(passage.pause_s)
            check_pauses(self._pauses_s)
            self._silence_s += passage.pause_s
            if parts := self._parts_of(Passage(self._silence_s, passage.text)):
                self._silence_s, self._speaks = 0.0, True
                self._put(parts)

    def _pause(self) -> None:
        """Silence behind the last part."""
        if self._speaks and self._silence_s:
            self._put([Part(None, self._silence_s)])
            self._silence_s = 0.0

    def _put(self, parts: Sequence[Part | None]) -> None:
        if not self._closed:
            self._parts.extend(parts)
            self._written.set()
