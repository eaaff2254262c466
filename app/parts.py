"""The parts of a text, one generation each: all there, or as somebody writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Part:
    """What the engine is asked (None: nothing, it is only a pause), and how much silence stands before it."""

    prompt: str | None
    pause_s: float = 0.0


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
