"""The parts of a text, one generation each: all there, or as somebody writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from app.speech.duration import ANY_LENGTH, Bounds


@dataclass(frozen=True, slots=True)
class Part:
    """What the engine is asked (None: nothing, it is only a pause), and how much silence stands before it."""

    prompt: str | None
    pause_s: float = 0.0
    bounds: Bounds = ANY_LENGTH  # of the speech that the prompt can honestly give


class Parts(Protocol):
    """One part after another. A class, because an async generator may be left unclosed."""

    @property
    def late(self) -> bool:
        """Whether somebody waits for a part that nobody has written yet."""
        ...

    def __aiter__(self) -> Self:
        """The same."""
        ...

    async def __anext__(self) -> Part:
        """The next part; raises StopAsyncIteration after the last."""
        ...


class WrittenParts:
    """Parts that are all there."""

    late = False

    def __init__(self, parts: Iterable[Part]) -> None:
        self._left = iter(parts)

    def __aiter__(self) -> Self:
        """The same: they are given once."""
        return self

    async def __anext__(self) -> Part:
        """The next part; raises StopAsyncIteration after the last."""
        for part in self._left:
            return part
        raise StopAsyncIteration


class KeptParts:
    """Parts that can be given again: those of a text that is still being written are kept as they come."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._kept: list[Part] = []
        self._given = 0
        self._complete = False

    @property
    def late(self) -> bool:
        """Whether somebody waits for a part that nobody has written yet."""
        return self._given == len(self._kept) and self._parts.late

    def rewind(self) -> None:
        """Begin with the first part again."""
        self._given = 0

    def __aiter__(self) -> Self:
        """The same: it goes on where it is."""
        return self

    async def __anext__(self) -> Part:
        """The next part; raises StopAsyncIteration after the last, and what was wrong with the text."""
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
