"""The segments of a text, with one generation each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.text.duration import ANY_LENGTH, DurationBounds


@dataclass(frozen=True, slots=True)
class Segment:
    """The prompt of one generation (None for a pause alone) and the silence before it."""

    prompt: str | None
    pause_s: float = 0.0
    bounds: DurationBounds = ANY_LENGTH  # plausible durations of the prompt's speech


class Segments(Protocol):
    """The segments of a text, in order. A second attempt gets them again."""

    @property
    def starved(self) -> bool:
        """True if a task waits for a segment whose text the client has not sent yet."""
        ...

    async def get(self, index: int) -> Segment | None:
        """Return a segment once its text has been received, or None after the last.

        Raises:
            TextTimeout: no text was received in time.
        """
        ...


class CompleteSegments:
    """The segments of a text that is known from the start."""

    starved = False

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments

    async def get(self, index: int) -> Segment | None:
        return self._segments[index] if index < len(self._segments) else None
