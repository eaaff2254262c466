"""A decode device with its codec and its batches."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from app import metrics
from app.codec import Codec, Decoding, OverlappingCodec
from app.decode.job import Job, Result
from app.decode.watchdog import WatchedCall

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InFlightBatch:
    """A batch that a device is decoding."""

    jobs: list[Job]
    decoding: Decoding
    begun_s: float


@dataclass(slots=True)
class Device:
    """A codec and its batches; `watch` guards every call that may hang."""

    codec: Codec
    watch: WatchedCall
    depth: int = 1  # most batches in flight
    clock: Callable[[], float] = time.monotonic  # seconds
    free_s: float = 0.0  # end of the latest call, on `clock`
    running: deque[InFlightBatch] = field(default_factory=deque[InFlightBatch])
    taken: list[Job] = field(default_factory=list[Job])  # chosen, not started yet
    done: list[Job] = field(default_factory=list[Job])  # decoded, results not delivered yet
    results: list[Result] = field(default_factory=list["Result"])

    def begin(self) -> None:
        """Start a call with the jobs in `taken`."""
        windows = [job.assign_window() for job in self.taken]
        metrics.DECODE_BATCH.observe(len(windows))
        begun_s = self.clock()
        for job in self.taken:
            job.started_s = begun_s
        decoding = partial(self.codec.decode, windows)
        if isinstance(self.codec, OverlappingCodec):
            try:
                with self.watch:
                    decoding = self.codec.begin(windows)
            except Exception:
                log.exception("a batch of %d windows could not be started", len(windows))
        self.running.append(InFlightBatch(self.taken, decoding, begun_s))
        self.taken = []

    @property
    def pending(self) -> list[Job]:
        """All jobs whose results may not have been delivered yet."""
        return [
            job
            for jobs in (*(call.jobs for call in list(self.running)), self.taken, self.done)
            for job in jobs
        ]
