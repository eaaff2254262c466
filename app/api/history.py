"""Keep the status of recent requests for an hour, without their texts."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from app.errors import CodesNotAvailable, ReplayNotSaved, RequestNotFound, ServiceError
from app.replay.store import ReplayStore
from app.synthesis.audio_output import ClientGone
from app.synthesis.stats import SynthesisStats

MAX_RECORDS = 10_000  # about 10 MB
KEPT_S = 3600.0
# Completed requests whose codes are kept for a report. A minute of NeuCodec takes about 20 KB.
MAX_REPLAYS = 100

Status = Literal["in_progress", "completed", "failed", "cancelled"]


@dataclass(slots=True)
class Record:
    """Status and statistics of a request, while it runs and after its end."""

    stats: SynthesisStats  # its codes are those of a request that may be reported
    status: Status = "in_progress"
    error_code: str | None = None
    saved: Future[bool] | None = None  # True once the replay has been written, False if that failed


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
    def track(self, name: str, key: int | None) -> Generator[SynthesisStats]:
        """Record the request that runs in the block and writes the statistics.

        It replaces an earlier request with the same id and key.
        """
        stats = SynthesisStats(keeps_codes=self._replays is not None)
        record = self._add(name, key, stats)
        try:
            yield stats
        except (asyncio.CancelledError, ClientGone):
            record.status = "cancelled"
            self._keep_codes(record)
            raise
        except Exception as exc:
            record.status = "failed"
            record.error_code = exc.code if isinstance(exc, ServiceError) else ServiceError.code
            if self._replays is not None and stats.codes is not None:
                record.saved = self._replays.save(stats.codes, name, record.error_code)
                stats.codes = None
            raise
        record.status = "completed"
        self._keep_codes(record)

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
        if record.saved is None:  # it completed and has not been reported
            if record.stats.codes is None:
                raise CodesNotAvailable(
                    "the codes of this request are no longer available, or there were none"
                )
            record.saved = self._replays.save(record.stats.codes, name, "reported")
        if record.saved is None:
            raise CodesNotAvailable("too many replays wait for the disk; retry shortly")
        # The write continues if the caller disconnects.
        if not await asyncio.shield(asyncio.wrap_future(record.saved)):
            record.saved = None
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

    def _add(self, name: str, key: int | None, stats: SynthesisStats) -> Record:
        self._records.pop((key, name), None)
        while self._records and (
            len(self._records) >= self._most or self._is_old(next(iter(self._records.values())))
        ):
            self._records.popitem(last=False)
        record = self._records[key, name] = Record(stats)
        return record

    def _keep_codes(self, record: Record) -> None:
        """Keep the codes of the latest MAX_REPLAYS requests for a report."""
        if record.stats.codes is not None:
            self._reportable.append(record)
            if len(self._reportable) > MAX_REPLAYS:
                self._reportable.popleft().stats.codes = None

    def _is_old(self, record: Record) -> bool:
        return time.monotonic() - record.stats.begun_s > self._kept_s
