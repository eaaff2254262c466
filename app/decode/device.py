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
    started_s: float


@dataclass(slots=True)
class Device:
    """A codec and its batches; `watch` guards every call that may hang."""

    codec: Codec
    watch: WatchedCall
    depth: int = 1  # maximum number of batches in flight
    clock: Callable[[], float] = time.monotonic  # seconds
    free_s: float = 0.0  # end of the latest call, on `clock`
    running: deque[InFlightBatch] = field(default_factory=deque[InFlightBatch])
    next_batch: list[Job] = field(default_factory=list[Job])  # chosen, not submitted yet
    finished: list[Job] = field(default_factory=list[Job])  # decoded, results not delivered yet
    results: list[Result] = field(default_factory=list["Result"])

    def start_batch(self) -> None:
        """Start a call with the jobs in `next_batch`."""
        windows = [job.codes() for job in self.next_batch]
        metrics.DECODE_BATCH.observe(len(windows))
        started_s = self.clock()
        for job in self.next_batch:
            job.started_s = started_s
        decoding = partial(self.codec.decode, windows)
        if isinstance(self.codec, OverlappingCodec):
            try:
                with self.watch:
                    decoding = self.codec.submit(windows)
            except Exception:
                log.exception("a batch of %d windows could not be started", len(windows))
        self.running.append(InFlightBatch(self.next_batch, decoding, started_s))
        self.next_batch = []

    @property
    def pending(self) -> list[Job]:
        """All jobs whose results may not have been delivered yet."""
        return [
            job
            for jobs in (
                *(call.jobs for call in list(self.running)),
                self.next_batch,
                self.finished,
            )
            for job in jobs
        ]
