"""The parts of a text, with one generation each; known from the start or streamed by the client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from app.text.duration import ANY_LENGTH, DurationBounds


@dataclass(frozen=True, slots=True)
class Segment:
    """The prompt of one generation (None for a pause alone) and the silence before it."""

    prompt: str | None
    pause_s: float = 0.0
    bounds: DurationBounds = ANY_LENGTH  # plausible durations of the prompt's speech


class Segments(Protocol):
    """An asynchronous iterator of parts.

    It is no async generator, because one that is left early stays unclosed.
    """

    @property
    def starved(self) -> bool:
        """True if a task waits for a part whose text the client has not sent yet."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Segment: ...


class FixedSegments:
    """Parts that are known from the start; they can be iterated once."""

    starved = False

    def __init__(self, segments: Iterable[Segment]) -> None:
        self._left = iter(segments)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Segment:
        for segment in self._left:
            return segment
        raise StopAsyncIteration


class BufferedSegments:
    """Buffer parts as they arrive, so that a retry can iterate over them again."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._kept: list[Segment] = []
        self._given = 0
        self._complete = False

    @property
    def starved(self) -> bool:
        """True if a task waits for a part whose text the client has not sent yet."""
        return self._given == len(self._kept) and self._segments.starved

    def restart(self) -> None:
        """Continue with the first part."""
        self._given = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Segment:
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
            self._kept.append(await self._segments.__anext__())
        except StopAsyncIteration:
            self._complete = True
            raise
