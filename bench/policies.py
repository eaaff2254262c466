"""Batching policies: ours and common alternatives, each an `app.decode.queue.Queue`."""

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
    """Create the queue of a policy; `clock` returns seconds and may be a fake."""
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
    """Batches by arrival: windows join the open batch for `collect_s` after its first window.

    A batch is sealed, and its windows are chosen, when it is full, when the next window arrives too
    late for it, or when a device takes it. There is no timer, which has two advantages over a
    collector that sleeps. An idle device takes an open batch at once, and a batch without a
    successor is chosen later.
    """

    def __init__(
        self,
        limits: BatchLimits,
        clock: Callable[[], float] = time.monotonic,
        collect_s: float = COLLECT_S,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._collect_s = collect_s
        self._batches: deque[list[W]] = deque()
        self._opened_s: float | None = None  # open time of the last batch; None if sealed

    def __len__(self) -> int:
        return sum(map(len, self._batches))

    @property
    def full(self) -> bool:
        """True if the first batch is sealed or has expired."""
        return bool(self._batches) and (len(self._batches) > 1 or not self._open())

    def push(self, window: W) -> None:
        """Add a window to the open batch, or open one."""
        if not self._open():
            self._seal()
            self._batches.append([])
            self._opened_s = self._clock()
        self._batches[-1].append(window)
        if len(self._batches[-1]) == self._limits.windows:
            self._seal()

    def fill(self, batch: list[W]) -> None:
        """Move the first batch, or the part that fits one call, into an empty `batch`."""
        while self._batches and not batch:
            if len(self._batches) == 1:
                self._seal()
            first = self._batches[0]
            first[:] = _move(first, batch, self._limits)
            if not first:
                self._batches.popleft()

    def drain(self) -> Sequence[W]:
        """Remove and return all windows."""
        waiting = [window for batch in self._batches for window in batch]
        self._opened_s = None
        self._batches.clear()
        return waiting

    def _open(self) -> bool:
        return self._opened_s is not None and self._clock() - self._opened_s <= self._collect_s

    def _seal(self) -> None:
        if self._opened_s is not None:
            for window in self._batches[-1]:
                if not window.cancelled:
                    window.measure_frames()
        self._opened_s = None


class ExactLengths(Generic[W]):
    """First come, first served, batched with windows of equal length, so that no row is padded.

    Windows are chosen when they arrive, because the batch depends on their lengths.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._waiting: list[W] = []

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """True if a full batch of the first window's length is queued."""
        return bool(self._waiting) and len(self._alike()) >= self._limits.windows

    def push(self, window: W) -> None:
        """Add a window."""
        window.measure_frames()
        self._waiting.append(window)

    def fill(self, batch: list[W]) -> None:
        """Move the first window and those of equal length into an empty `batch`."""
        self._waiting = [window for window in self._waiting if not window.cancelled]
        if self._waiting:
            _move(self._alike(), batch, self._limits)
            chosen = set(map(id, batch))
            self._waiting = [window for window in self._waiting if id(window) not in chosen]

    def drain(self) -> Sequence[W]:
        """Remove and return all windows."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _alike(self) -> list[W]:
        frames = self._waiting[0].measure_frames()
        return [window for window in self._waiting if window.measure_frames() == frames]


class OneByOne(Generic[W]):
    """First come, first served, one window per call."""

    def __init__(self) -> None:
        self._waiting: deque[W] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """True if a window is queued."""
        return bool(self._waiting)

    def push(self, window: W) -> None:
        """Add a window."""
        self._waiting.append(window)

    def fill(self, batch: list[W]) -> None:
        """Move the first window into an empty `batch`."""
        while self._waiting and not batch:
            window = self._waiting.popleft()
            if not window.cancelled:
                window.measure_frames()
                batch.append(window)

    def drain(self) -> Sequence[W]:
        """Remove and return all windows."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


def _move(windows: Sequence[W], batch: list[W], limits: BatchLimits) -> list[W]:
    """Move the first windows that fit one call into an empty `batch`; return the others."""
    longest_frames = 0
    for index, window in enumerate(windows):
        if window.cancelled:
            continue
        longest_frames = max(longest_frames, limits.padded_length(window.measure_frames()))
        if len(batch) == limits.windows or (
            batch and limits.too_many(longest_frames * (len(batch) + 1))
        ):
            return list(windows[index:])
        batch.append(window)
    return []
