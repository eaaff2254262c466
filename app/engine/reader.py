"""The thread that reads text for the embedded engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import TypeVar

from app.engine.deadline_thread import DeadlineThread
from app.engine.phonemes import Phonemiser, Piece
from app.errors import EngineError, EngineUnreachable

# What reading arbitrary text with somebody else's rules can raise, and torch's and the executor's RuntimeError.
FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

Argument = TypeVar("Argument")
Result = TypeVar("Result")


class Reader:
    """A phonemiser in a thread of its own, which does first what is due first."""

    def __init__(self) -> None:
        self._worker: DeadlineThread | None = None
        self._phonemiser: Phonemiser | None = None

    async def start(self, ids: Mapping[str, int]) -> None:
        """Load the rules (about 0.5 s)."""
        self._worker = DeadlineThread("builtin-engine")
        self._phonemiser = await self.run(Phonemiser, ids)
        await self.run(self._phonemiser.pieces, "Ready.")  # so that nothing is cold

    async def close(self) -> None:
        """End the thread, after what is already in its queue: a sentence a request."""
        worker, self._worker, self._phonemiser = self._worker, None, None
        if worker is not None:
            await asyncio.get_running_loop().run_in_executor(None, worker.close)

    @property
    def busy_s(self) -> float:
        """The time that the thread has worked in all."""
        return 0.0 if self._worker is None else self._worker.busy_s

    async def run(
        self, work: Callable[[Argument], Result], argument: Argument, due_s: float | None = None
    ) -> Result:
        """Have the thread do something that is due at `due_s` (time.monotonic()), or at once.

        Raises:
            EngineError: it failed.
            EngineUnreachable: the thread is not there.
        """
        if self._worker is None:
            raise EngineUnreachable("the embedded engine is not loaded")
        try:
            return await self._worker.run(
                work, argument, time.monotonic() if due_s is None else due_s
            )
        except FAILURES as exc:
            raise EngineError("the embedded engine could not read this text") from exc

    async def read(self, text: str, due_s: Callable[[], float] = time.monotonic) -> Reading:
        """Begin with a text; `due_s` tells when the next of its sentences is due. Raises as `run` does."""
        phonemiser = self._phonemiser
        if phonemiser is None:
            raise EngineUnreachable("the embedded engine is not loaded")
        sentences = await self.run(phonemiser.sentences, text, due_s())
        return Reading(
            lambda sentence: self.run(phonemiser.pieces, sentence, due_s()), iter(sentences)
        )


class Reading:
    """A text in pieces, read a sentence ahead of who asks for them: reading takes 1 to 20 ms a sentence."""

    def __init__(
        self, read: Callable[[str], Coroutine[None, None, list[Piece]]], sentences: Iterator[str]
    ) -> None:
        self._read, self._sentences = read, sentences
        self._ahead = self._begin()

    async def sentence(self) -> list[Piece] | None:
        """The next sentence's pieces, or None after the last. Raises as `Reader.run` does."""
        if self._ahead is None:
            return None
        pieces = await self._ahead
        self._ahead = self._begin()
        return pieces

    def close(self) -> None:
        """Read no further."""
        if self._ahead is not None:
            self._ahead.cancel()

    def _begin(self) -> asyncio.Task[list[Piece]] | None:
        sentence = next(self._sentences, None)
        return None if sentence is None else asyncio.create_task(self._read(sentence))
