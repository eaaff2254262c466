"""What waits for a device, the most urgent first, and what of it shares the next call."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """A window that waits."""

    @property
    def deadline_s(self) -> float:
        """When its listener runs dry."""
        ...

    @property
    def dropped(self) -> bool:
        """Nobody waits for it any more."""
        ...

    def open_frames(self) -> int:
        """Choose the window now, if it has not been chosen, and say how many frames it has."""
        ...


W = TypeVar("W", bound=Waiting)


class Queue(Protocol[W]):
    """What a scheduler needs of a queue; it is called under the scheduler's lock."""

    def __len__(self) -> int: ...

    @property
    def full(self) -> bool:
        """A whole batch waits: what comes later could not make it larger."""
        ...

    def push(self, window: W) -> None:
        """Let a window wait."""
        ...

    def fill(self, batch: list[W]) -> None:
        """Move the windows of the next call into an empty `batch`; none only when nothing waits."""
        ...

    def drain(self) -> Sequence[W]:
        """Everything that waits, which waits no longer."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The largest decode call.

    `padded_frames`: of the whole batch, rows as long as the longest (None: no limit). `frame_steps`: the
    lengths that rows are padded to, ascending (none: to the longest). `call_frames`: what a call costs before its
    first frame, in frames; a window that would bring more padding than that waits for another call (None: never).
    """

    windows: int
    padded_frames: int | None = None
    frame_steps: tuple[int, ...] = ()
    call_frames: int | None = None

    def rounded(self, frames: int) -> int:
        """Frames that a window costs in a call."""
        place = bisect.bisect_left(self.frame_steps, frames)
        return self.frame_steps[place] if place < len(self.frame_steps) else frames

    def too_many(self, padded_frames: int) -> bool:
        """Whether rows with so many frames in all do not fit one call."""
        return self.padded_frames is not None and padded_frames > self.padded_frames

    def too_uneven(self, padding_frames: int) -> bool:
        """Whether rows with so much padding in all cost less in two calls."""
        return self.call_frames is not None and padding_frames > self.call_frames


class DeadlineQueue(Generic[W]):
    """Earliest deadline first; equal ones in the order in which they came."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, W]] = []  # in order

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """A whole batch waits: what comes later could not make it larger."""
        return len(self._waiting) >= self._limits.windows

    def push(self, window: W) -> None:
        """Let a window wait."""
        bisect.insort(self._waiting, (window.deadline_s, next(self._order), window))

    def fill(self, batch: list[W]) -> None:
        """Move the most urgent windows that fit one call into an empty `batch`.

        The most urgent one is always among them. One that is much longer, or much shorter, than those before
        it stays, and those behind it may go first.
        """
        longest = total = 0
        chosen: list[W] = []
        left: list[tuple[float, int, W]] = []
        for place, entry in enumerate(self._waiting):
            window = entry[-1]
            if window.dropped:
                continue
            frames = self._limits.rounded(window.open_frames())
            padded = max(longest, frames) * (len(chosen) + 1)
            if chosen and self._limits.too_many(padded):
                left += self._waiting[place:]
                break
            if self._limits.too_uneven(padded - total - frames):
                left.append(entry)
                continue
            longest, total = max(longest, frames), total + frames
            chosen.append(window)
            if len(chosen) == self._limits.windows:
                left += self._waiting[place + 1 :]
                break
        batch += chosen
        self._waiting = left

    def drain(self) -> Sequence[W]:
        """Everything that waits, which waits no longer."""
        waiting, self._waiting = self._waiting, []
        return [window for _, _, window in waiting]
