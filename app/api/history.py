"""Keep the status of recent requests for an hour, without their texts."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from app.errors import CodesNotAvailable, ReplayNotSaved, RequestNotFound, ServiceError
from app.replay.store import ReplayStore
from app.synthesis.audio_output import ClientGone, SynthesisStats
from app.synthesis.recording import ReplayRecorder
from app.synthesis.stats import Progress

MAX_RECORDS = 10_000  # about 10 MB
KEPT_S = 3600.0
# Completed requests whose codes are kept for a report. A minute of NeuCodec takes about 20 KB.
MAX_REPLAYS = 100

Status = Literal["in_progress", "completed", "failed", "cancelled"]


@dataclass(slots=True)
class Record:
    """Status and statistics of a request, while it runs and after its end."""

    begun_s: float
    progress: Progress | None
    status: Status = "in_progress"
    error_code: str | None = None
    final_stats: SynthesisStats | None = None
    trail: ReplayRecorder | None = None  # codes of a request that may be reported
    kept: Future[bool] | None = None  # True once the replay has been written, False if that failed

    def spoken(self) -> SynthesisStats:
        """Return the statistics so far, or the final ones."""
        if self.final_stats is None:
            assert self.progress is not None
            return self.progress.spoken()
        return self.final_stats

    def end(self, status: Status, error_code: str | None = None) -> None:
        """Keep the final statistics and release the codes and the audio."""
        self.final_stats, self.progress = self.spoken(), None
        self.status, self.error_code = status, error_code


class RequestHistory:
    """Recent requests by id, each visible only to the API key that made it."""

    def __init__(
        self,
        most: int = MAX_RECORDS,
        kept_s: float = KEPT_S,
        *,
        replays: ReplayStore | None = None,
    ) -> None:
        """`replays` stores the codes of failed requests."""
        self._replays = replays
        self._most, self._kept_s = most, kept_s
        self._records: OrderedDict[tuple[int | None, str], Record] = OrderedDict()
        self._reportable: deque[Record] = deque()

    @contextmanager
    def track(
        self, name: str, key: int | None, expected_s: float = math.inf, speed: float = 1.0
    ) -> Generator[Progress]:
        """Record the request that runs in the block.

        It replaces an earlier request with the same id and key. `expected_s`: duration of the audio
        at `speed`, estimated from the text.
        """
        progress = Progress(expected_s, speed=speed, for_replay=self._replays is not None)
        record = self._add(name, key, progress)
        try:
            yield progress
        except (asyncio.CancelledError, ClientGone):
            self._end(record, progress, "cancelled")
            raise
        except Exception as exc:
            code = exc.code if isinstance(exc, ServiceError) else ServiceError.code
            if self._replays is not None and progress.trail is not None:
                record.kept = self._replays.save(progress.trail, name, code)
            record.end("failed", code)
            raise
        self._end(record, progress, "completed")

    async def report(self, name: str, key: int | None) -> Record:
        """Store the codes of a request that sounded wrong, and return its record.

        Raises:
            RequestNotFound: see `find`.
            CodesNotAvailable: the request still runs, its codes are gone, or REPLAY_FOLDER is
                not set.
            ReplayNotSaved: the codes could not be written.
        """
        record = self.find(name, key)
        if self._replays is None:
            raise CodesNotAvailable("this server stores no codes: REPLAY_FOLDER is not set")
        if record.status == "in_progress":
            raise CodesNotAvailable("the request is still running; report it after its end")
        if record.kept is None:  # it completed and has not been reported
            if record.trail is None:
                raise CodesNotAvailable(
                    "the codes of this request are no longer available, or there were none"
                )
            record.kept = self._replays.save(record.trail, name, "reported")
        if record.kept is None:
            raise CodesNotAvailable("too many replays wait for the disk; retry shortly")
        # The write continues if the caller disconnects.
        if not await asyncio.shield(asyncio.wrap_future(record.kept)):
            record.kept = None
            raise ReplayNotSaved("the codes could not be written; see the server log")
        return record

    def prepare(self) -> None:
        """Create the folder for replays and check that it is writable (blocks).

        Raises:
            LoadError: the folder cannot be created or written.
        """
        if self._replays is not None:
            self._replays.prepare()

    def close(self) -> None:
        """Finish writing replays (blocks)."""
        if self._replays is not None:
            self._replays.close()

    def find(self, name: str, key: int | None) -> Record:
        """Return the record of a request.

        Raises:
            RequestNotFound: no request of the last hour has this id and key.
        """
        record = self._records.get((key, name))
        if record is None or self._is_old(record):
            raise RequestNotFound("no request with this id in the last hour")
        return record

    def _add(self, name: str, key: int | None, progress: Progress) -> Record:
        self._records.pop((key, name), None)
        while self._records and (
            len(self._records) >= self._most or self._is_old(next(iter(self._records.values())))
        ):
            self._records.popitem(last=False)
        record = self._records[key, name] = Record(time.monotonic(), progress)
        return record

    def _end(self, record: Record, progress: Progress, status: Status) -> None:
        """End the record. The codes of the latest MAX_REPLAYS requests remain available."""
        if progress.trail is not None:
            record.trail = progress.trail
            self._reportable.append(record)
            if len(self._reportable) > MAX_REPLAYS:
                self._reportable.popleft().trail = None
        record.end(status)

    def _is_old(self, record: Record) -> bool:
        return time.monotonic() - record.begun_s > self._kept_s
