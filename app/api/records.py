"""What became of the last requests: kept for an hour, without a word of their texts."""

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

from app.errors import ReplayNotSaved, ServiceError
from app.listener import ClientGone, Spoken
from app.progress import Progress
from app.replay_folder import ReplayFolder
from app.request_errors import NotKept, RequestNotFound
from app.trail import Trail

MOST_RECORDS = 10_000  # about 10 MB
KEPT_S = 3600.0
MOST_TRAILS = (
    100  # of good answers, which may still be reported: about 20 KB for a minute of NeuCodec
)

Status = Literal["in_progress", "completed", "failed", "cancelled"]


@dataclass(slots=True)
class Record:
    """One request: while it runs its progress tells, then what it came to."""

    begun_s: float
    progress: Progress | None
    status: Status = "in_progress"
    error_code: str | None = None
    came_to: Spoken | None = None
    trail: Trail | None = None  # of one that may be reported
    kept: Future[bool] | None = None  # for a replay: whether it has been written

    def spoken(self) -> Spoken:
        """What it has come to so far, or in the end."""
        if self.came_to is None:
            assert self.progress is not None
            return self.progress.spoken()
        return self.came_to

    def end(self, status: Status, error_code: str | None = None) -> None:
        """The request is over; its codes and its sound are let go of."""
        self.came_to, self.progress = self.spoken(), None
        self.status, self.error_code = status, error_code


class Records:
    """The latest requests by their id, each seen with the API key alone with which it came."""

    def __init__(
        self,
        most: int = MOST_RECORDS,
        kept_s: float = KEPT_S,
        *,
        replays: ReplayFolder | None = None,
    ) -> None:
        """`replays` keeps the codes of what failed."""
        self._replays = replays
        self._most, self._kept_s = most, kept_s
        self._records: OrderedDict[tuple[int | None, str], Record] = OrderedDict()
        self._reportable: deque[Record] = deque()

    @contextmanager
    def follow(
        self, name: str, key: int | None, expected_s: float = math.inf, speed: float = 1.0
    ) -> Generator[Progress]:
        """Keep a record of what happens in the block; of two requests with one id and key the later counts.

        `expected_s`: of sound at `speed`, as far as the text tells.
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
                record.kept = self._replays.keep(progress.trail, name, code)
            record.end("failed", code)
            raise
        self._end(record, progress, "completed")

    async def report(self, name: str, key: int | None) -> Record:
        """Keep the codes of a request that sounded wrong, as those of a failed one are; the record, once they are kept.

        Raises:
            RequestNotFound: as `find` does.
            NotKept: its codes are not there: it still runs, too many came after it, or nothing is ever kept.
            ReplayNotSaved: the disk does not take them.
        """
        record = self.find(name, key)
        if self._replays is None:
            raise NotKept("this server keeps no codes: REPLAY_FOLDER is not set")
        if record.status == "in_progress":
            raise NotKept("the request is still running: report it when it has ended")
        if record.kept is None:  # it has not failed, and was not reported before
            if record.trail is None:
                raise NotKept("the codes of that request are no longer there, or there were none")
            record.kept = self._replays.keep(record.trail, name, "reported")
        if record.kept is None:
            raise NotKept("too many wait to be written: report it again in a moment")
        if not await asyncio.shield(
            asyncio.wrap_future(record.kept)
        ):  # who waits may leave, and it is written
            record.kept = None
            raise ReplayNotSaved("the codes could not be written; the server's log says why")
        return record

    def prepare(self) -> None:
        """See to it that replays can be written (blocks).

        Raises:
            LoadError: their folder cannot be made or written.
        """
        if self._replays is not None:
            self._replays.prepare()

    def close(self) -> None:
        """Let replays be written (blocks)."""
        if self._replays is not None:
            self._replays.close()

    def find(self, name: str, key: int | None) -> Record:
        """The record of a request.

        Raises:
            RequestNotFound: there was none of this id with this key, or it is too long ago.
        """
        record = self._records.get((key, name))
        if record is None or self._is_old(record):
            raise RequestNotFound("no request of this id in the last hour")
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
        """The request is over, and may be reported while its codes are among the latest."""
        if progress.trail is not None:
            record.trail = progress.trail
            self._reportable.append(record)
            if len(self._reportable) > MOST_TRAILS:
                self._reportable.popleft().trail = None
        record.end(status)

    def _is_old(self, record: Record) -> bool:
        return time.monotonic() - record.begun_s > self._kept_s
