"""A device's codec, and what it has in hand."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial

from app import metrics
from app.codec import Codec, Decoding, OverlappingCodec
from app.decode.job import Job, Result
from app.decode.watchdog import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A batch on its way through a device."""

    jobs: list[Job]
    decoding: Decoding
    begun_s: float


@dataclass(slots=True)
class Device:
    """A codec and what it has in hand. `watch` is told of every call that may hang."""

    codec: Codec
    watch: Watch
    depth: int = 1
    free_s: float = 0.0  # when its last call had ended
    running: deque[Call] = field(default_factory=deque[Call])
    taken: list[Job] = field(default_factory=list[Job])  # not begun yet
    done: list[Job] = field(default_factory=list[Job])  # not answered yet
    results: list[Result] = field(default_factory=list["Result"])

    def begin(self) -> None:
        """Begin what has been taken."""
        windows = [job.open() for job in self.taken]
        metrics.DECODE_BATCH.observe(len(windows))
        begun_s = time.monotonic()
        for job in self.taken:
            job.begun_s = begun_s
        decoding = partial(self.codec.decode, windows)
        if isinstance(self.codec, OverlappingCodec):
            try:
                with self.watch:
                    decoding = self.codec.begin(windows)
            except Exception:
                log.exception("a batch of %d windows could not be begun", len(windows))
        self.running.append(Call(self.taken, decoding, begun_s))
        self.taken = []

    @property
    def unanswered(self) -> list[Job]:
        """All that may have no result yet."""
        return [
            job
            for jobs in (*(call.jobs for call in list(self.running)), self.taken, self.done)
            for job in jobs
        ]
