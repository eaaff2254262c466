"""The queue of windows that wait for a device, and the choice of the next batch."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class QueuedWindow(Protocol):
    """A window that waits for a device."""

    @property
    def deadline_s(self) -> float:
        """Time at which the window must be decoded; the client then has nothing left to play."""
        ...

    @property
    def cancelled(self) -> bool:
        """True if no task awaits the window any more."""
        ...

    def measure_frames(self) -> int:
        """Return the frames of the window; choose it now if it has not been chosen."""
        ...


W = TypeVar("W", bound=QueuedWindow)


class Queue(Protocol[W]):
    """The interface of a scheduler's queue; all calls hold the scheduler's lock."""

    def __len__(self) -> int: ...

    @property
    def full(self) -> bool:
        """True if a full batch is queued."""
        ...

    def push(self, window: W) -> None:
        """Add a window."""
        ...

    def fill(self, batch: list[W]) -> None:
        """Move the windows of the next call, if any are queued, into an empty `batch`."""
        ...

    def drain(self) -> Sequence[W]:
        """Remove and return all windows."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The limits of one decode call.

    `padded_frames` limits the frames of the whole batch, with each row padded to the longest one.
    `frame_steps` are the lengths to which rows are padded; without them, rows are padded to the
    longest one. `call_overhead_frames` is the fixed cost of a call, in frames; a window that
    would add more padding than that waits for another call.
    """

    windows: int
    padded_frames: int | None = None  # None: no limit
    frame_steps: tuple[int, ...] = ()  # ascending
    call_overhead_frames: int | None = None  # None: padding never makes a window wait

    def padded_length(self, frames: int) -> int:
        """Return the frames that a window has in a call, padding included."""
        index = bisect.bisect_left(self.frame_steps, frames)
        return self.frame_steps[index] if index < len(self.frame_steps) else frames

    def too_many(self, padded_frames: int) -> bool:
        """True if a batch of that many frames does not fit one call."""
        return self.padded_frames is not None and padded_frames > self.padded_frames

    def too_much_padding(self, padding_frames: int) -> bool:
        """True if a batch with that much padding costs less as two calls."""
        return self.call_overhead_frames is not None and padding_frames > self.call_overhead_frames


class DeadlineQueue(Generic[W]):
    """A queue with the earliest deadline first; equal deadlines in order of arrival."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, W]] = []  # (deadline, arrival, window), sorted

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """True if a full batch is queued."""
        return len(self._waiting) >= self._limits.windows

    def push(self, window: W) -> None:
        """Add a window."""
        bisect.insort(self._waiting, (window.deadline_s, next(self._order), window))

    def fill(self, batch: list[W]) -> None:
        """Move the most urgent windows that fit one call into an empty `batch`.

        The most urgent one is always among them. A window much longer or shorter than the chosen
        ones stays in the queue, and later windows may overtake it.
        """
        longest_frames = 0
        total_frames = 0
        chosen: list[W] = []
        left: list[tuple[float, int, W]] = []
        for index, entry in enumerate(self._waiting):
            window = entry[-1]
            if window.cancelled:
                continue
            frames = self._limits.padded_length(window.measure_frames())
            padded = max(longest_frames, frames) * (len(chosen) + 1)
            if chosen and self._limits.too_many(padded):
                left += self._waiting[index:]
                break
            if self._limits.too_much_padding(padded - total_frames - frames):
                left.append(entry)
                continue
            longest_frames = max(longest_frames, frames)
            total_frames += frames
            chosen.append(window)
            if len(chosen) == self._limits.windows:
                left += self._waiting[index + 1 :]
                break
        batch += chosen
        self._waiting = left

    def drain(self) -> Sequence[W]:
        """Remove and return all windows."""
        waiting, self._waiting = self._waiting, []
        return [window for _, _, window in waiting]
