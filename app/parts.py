"""The parts of a text, with one generation each; known from the start or streamed by the client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from app.speech.duration import ANY_LENGTH, Bounds


@dataclass(frozen=True, slots=True)
class Part:
    """The prompt of one generation (None for a pause alone) and the silence before it."""

    prompt: str | None
    pause_s: float = 0.0
    bounds: Bounds = ANY_LENGTH  # plausible durations of the prompt's speech


class Parts(Protocol):
    """An asynchronous iterator of parts.

    It is no async generator, because one that is left early stays unclosed.
    """

    @property
    def late(self) -> bool:
        """True if a task waits for a part whose text the client has not sent yet."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Part: ...


class WrittenParts:
    """Parts that are known from the start; they can be iterated once."""

    late = False

    def __init__(self, parts: Iterable[Part]) -> None:
        self._left = iter(parts)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Part:
        for part in self._left:
            return part
        raise StopAsyncIteration


class KeptParts:
    """Buffer parts as they arrive, so that a retry can iterate over them again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept: list[Part] = []
        self._given = 0
        self._complete = False

    @property
    def late(self) -> bool:
        """True if a task waits for a part whose text the client has not sent yet."""
        return self._given == len(self._kept) and self._parts.late

    def rewind(self) -> None:
        """Continue with the first part."""
        self._given = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Part:
        """Return the next part.

        Raises:
            StopAsyncIteration: after the last part.
            RequestError: the text is invalid, or no more of it arrived in time.
        """
        if self._given == len(self._kept):
            if self._complete:
                raise StopAsyncIteration
            await self._keep()
        self._given += 1
        return self._kept[self._given - 1]

    async def _keep(self) -> None:
        try:
            self._kept.append(await self._parts.__anext__())
        except StopAsyncIteration:
            self._complete = True
            raise
