"""Buffer for the codes of one generation, which arrive while earlier ones are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import EngineProtocolError


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """Mapping from token numbers to frames of codes.

    A number below `first` is a control token. Any other is `first + slot * vocabulary + code`.
    A frame has one code for each slot, in order.
    """

    first: int
    slots: int
    vocabulary: int


class CodeBuffer:
    """Append-only buffer of codes, allocated once.

    One thread appends. Any thread may read the frames below `frames`, because the count grows only
    after the codes are written.
    """

    def __init__(self, layout: FrameLayout, max_tokens: int) -> None:
        self._layout = layout
        self._max_tokens = max_tokens
        self._buffer = np.zeros((max(1, max_tokens // layout.slots), layout.slots), np.int32)
        self._partial: list[int] = []
        self.frames = 0
        self.tokens = 0  # codec tokens, including those of an unfinished frame
        self.dropped = 0  # codec tokens of another slot, or of an unfinished frame
        self.ended = False  # True if no more codes follow

    def feed(self, numbers: Sequence[int]) -> None:
        """Append token numbers. Codes of an unfinished frame are kept until its last slot arrives.

        Raises:
            EngineProtocolError: a number is outside the codec's vocabulary, or there are more than
                `max_tokens`.
        """
        layout = self._layout
        size = layout.slots * layout.vocabulary
        codes = [number - layout.first for number in numbers if number >= layout.first]
        if min(numbers, default=0) < 0 or max(codes, default=0) >= size:
            raise EngineProtocolError("the engine sent a token outside the codec's vocabulary")
        if self.tokens + len(codes) > self._max_tokens:
            raise EngineProtocolError("the engine sent more tokens than it was allowed")
        self.tokens += len(codes)
        if layout.slots == 1:
            end = self.frames + len(codes)
            self._buffer[self.frames : end, 0] = codes
            self.frames = end
        else:
            self._append(self._by_slot(codes))

    @property
    def unfinished(self) -> int:
        """Number of tokens in the unfinished frame."""
        return len(self._partial)

    def finish(self) -> None:
        """Mark the end of the codes and drop an unfinished last frame."""
        self.dropped += len(self._partial)
        self._partial = []
        self.ended = True

    def window(self, start: int, stop: int) -> NDArray[np.int32]:
        """Return frames [start, stop) as (frames, slots), a view that appends do not change."""
        return self._buffer[start:stop]

    def _by_slot(self, values: list[int]) -> list[list[int]]:
        """Return completed frames. A token of the wrong slot drops codes up to the next slot 0."""
        complete: list[list[int]] = []
        for value in values:
            slot, code = divmod(value, self._layout.vocabulary)
            if slot != len(self._partial):
                self.dropped += len(self._partial) + (slot != 0)
                self._partial = []
                if slot != 0:
                    continue
            self._partial.append(code)
            if len(self._partial) == self._layout.slots:
                complete.append(self._partial)
                self._partial = []
        return complete

    def _append(self, rows: list[list[int]]) -> None:
        if rows:
            end = self.frames + len(rows)
            self._buffer[self.frames : end] = rows
            self.frames = end
