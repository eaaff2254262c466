"""A thread that phonemises text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import TypeVar

from app.engine.embedded.deadline_thread import DeadlineThread
from app.engine.embedded.phonemes import PhonemeChunk, Phonemiser
from app.errors import EngineError, EngineUnreachable

# Exceptions that hibari's rules raise on some texts, and RuntimeError of torch and DeadlineThread.
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


class PhonemiserThread:
    """A phonemiser in its own thread, which runs the work with the earliest deadline first."""

    def __init__(self) -> None:
        self._worker: DeadlineThread | None = None
        self._phonemiser: Phonemiser | None = None

    async def start(self, ids: Mapping[str, int]) -> None:
        """Load the phonemiser (about 0.5 s)."""
        self._worker = DeadlineThread("builtin-engine")
        self._phonemiser = await self.run(Phonemiser, ids)
        await self.run(self._phonemiser.chunks, "Ready.")  # warms it up

    async def close(self) -> None:
        """End the thread after its queue: at most one sentence or chunk of each request."""
        worker = self._worker
        self._worker = None
        self._phonemiser = None
        if worker is not None:
            await asyncio.get_running_loop().run_in_executor(None, worker.close)

    @property
    def busy_s(self) -> float:
        """Total time that the thread has run functions."""
        return 0.0 if self._worker is None else self._worker.busy_s

    async def run(
        self, work: Callable[[Argument], Result], argument: Argument, due_s: float | None = None
    ) -> Result:
        """Run `work` on the thread, with the deadline `due_s` (time.monotonic(); None: now).

        Raises:
            EngineError: `work` failed.
            EngineUnreachable: the thread is not running.
        """
        if self._worker is None:
            raise EngineUnreachable("the embedded engine is not loaded")
        try:
            return await self._worker.run(
                work, argument, time.monotonic() if due_s is None else due_s
            )
        except FAILURES as exc:
            raise EngineError("the embedded engine cannot process this text") from exc

    async def read(self, text: str, due_s: Callable[[], float] = time.monotonic) -> PhonemisedText:
        """Split a text into sentences and start to phonemise the first.

        `due_s` returns the deadline of the next sentence. Raises as `run` does.
        """
        phonemiser = self._phonemiser
        if phonemiser is None:
            raise EngineUnreachable("the embedded engine is not loaded")
        sentences = await self.run(phonemiser.sentences, text, due_s())
        return PhonemisedText(
            lambda sentence: self.run(phonemiser.chunks, sentence, due_s()), iter(sentences)
        )


class PhonemisedText:
    """The chunks of a text, phonemised one sentence ahead. A sentence takes 1 to 20 ms."""

    def __init__(
        self,
        read: Callable[[str], Coroutine[None, None, list[PhonemeChunk]]],
        sentences: Iterator[str],
    ) -> None:
        self._phonemise, self._sentences = read, sentences
        self._next_chunks = self._phonemise_next()

    async def sentence(self) -> list[PhonemeChunk] | None:
        """Return the chunks of the next sentence, None after the last. Raises as `run` does."""
        if self._next_chunks is None:
            return None
        chunks = await self._next_chunks
        self._next_chunks = self._phonemise_next()
        return chunks

    def close(self) -> None:
        """Cancel the sentence that is phonemised ahead."""
        if self._next_chunks is not None:
            self._next_chunks.cancel()

    def _phonemise_next(self) -> asyncio.Task[list[PhonemeChunk]] | None:
        sentence = next(self._sentences, None)
        return None if sentence is None else asyncio.create_task(self._phonemise(sentence))
