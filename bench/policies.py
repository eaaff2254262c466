"""What shares a decode call: ours and what else the field does, each an `app.decode.queue.Queue`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Literal, get_args

from app.decode.queue import BatchLimits, DeadlineQueue, Queue, W

Policy = Literal["deadline", "cut at arrival", "exact length", "one by one"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
COLLECT_S = 0.010


def make_queue(
    policy: Policy,
    limits: BatchLimits,
    clock: Callable[[], float] = time.monotonic,
) -> Queue[W]:  # pyright: ignore[reportInvalidTypeVarUse]
    """A queue of that policy; `clock` gives seconds and need not be real."""
    match policy:
        case "deadline":
            return DeadlineQueue(limits)
        case "cut at arrival":
            return ArrivalBatches(limits, clock)
        case "exact length":
            return ExactLengths(limits)
        case "one by one":
            return OneByOne()


class ArrivalBatches(Generic[W]):
    """The first window opens a batch; those that come within `collect_s` join it; then it waits for a device.

    A batch is sealed, and its windows are chosen, when it has its most windows, when the next window comes too
    late for it, or when a device takes it. There is no timer, so two things are better than with a collector that
    sleeps: an idle device takes an open batch at once, and a batch that nobody follows is chosen later.
    """

    def __init__(
        self,
        limits: BatchLimits,
        clock: Callable[[], float] = time.monotonic,
        collect_s: float = COLLECT_S,
    ) -> None:
        self._limits, self._clock, self._collect_s = limits, clock, collect_s
        self._batches: deque[list[W]] = deque()
        self._opened_s: float | None = None  # of the last batch, unless it is sealed

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    @property
    def full(self) -> bool:
        """The first batch is sealed, or nothing could join it any more."""
        return bool(self._batches) and (len(self._batches) > 1 or not self._open())

    def push(self, window: W) -> None:
        """Let a window join the open batch, or open one."""
        if not self._open():
            self._seal()
            self._batches.append([])
            self._opened_s = self._clock()
        self._batches[-1].append(window)
        if len(self._batches[-1]) == self._limits.windows:
            self._seal()

    def fill(self, batch: list[W]) -> None:
        """Move the first batch into an empty `batch`, or as much of it as fits one call."""
        while self._batches and not batch:
            if len(self._batches) == 1:
                self._seal()
            first = self._batches[0]
            first[:] = _move(first, batch, self._limits)
            if not first:
                self._batches.popleft()

    def drain(self) -> Sequence[W]:
        """Everything that waits, which waits no longer."""
        waiting, self._opened_s = [window for batch in self._batches for window in batch], None
        self._batches.clear()
        return waiting

    def _open(self) -> bool:
        return self._opened_s is not None and self._clock() - self._opened_s <= self._collect_s

    def _seal(self) -> None:
        if self._opened_s is not None:
            for window in self._batches[-1]:
                if not window.dropped:
                    window.open_frames()
        self._opened_s = None


class ExactLengths(Generic[W]):
    """First come, first served, together with those of exactly as many frames: no row is padded.

    Windows are chosen when they come, because their lengths decide.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: list[W] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """As many as share a call are of the first one's length."""
        return bool(self._waiting) and len(self._alike()) >= self._limits.windows

    def push(self, window: W) -> None:
        """Let a window wait."""
        window.open_frames()
        self._waiting.append(window)

    def fill(self, batch: list[W]) -> None:
        """Move the first window and its like into an empty `batch`."""
        self._waiting = [window for window in self._waiting if not window.dropped]
        if self._waiting:
            _move(self._alike(), batch, self._limits)
            taken = set(map(id, batch))
            self._waiting = [window for window in self._waiting if id(window) not in taken]

    def drain(self) -> Sequence[W]:
        """Everything that waits, which waits no longer."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _alike(self) -> list[W]:
        frames = self._waiting[0].open_frames()
        return [window for window in self._waiting if window.open_frames() == frames]


class OneByOne(Generic[W]):
    """First come, first served, one window a call."""

    def __init__(self) -> None:
        self._waiting: deque[W] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """One window is a whole batch."""
        return bool(self._waiting)

    def push(self, window: W) -> None:
        """Let a window wait."""
        self._waiting.append(window)

    def fill(self, batch: list[W]) -> None:
        """Move the first window into an empty `batch`."""
        while self._waiting and not batch:
            window = self._waiting.popleft()
            if not window.dropped:
                window.open_frames()
                batch.append(window)

    def drain(self) -> Sequence[W]:
        """Everything that waits, which waits no longer."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


def _move(windows: Sequence[W], batch: list[W], limits: BatchLimits) -> list[W]:
    """Move the first of them that fit one call into an empty `batch`; the others."""
    longest = 0
    for place, window in enumerate(windows):
        if window.dropped:
            continue
        longest = max(longest, limits.rounded(window.open_frames()))
        if len(batch) == limits.windows or (batch and limits.too_many(longest * (len(batch) + 1))):
            return list(windows[place:])
        batch.append(window)
    return []
