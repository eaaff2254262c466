"""A folder of the latest failed and reported requests, readable by the service's user only."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson

from app.storage import ensure_writable_folder, write_atomically
from app.synthesis.stats import KeptCodes
from app.tokens.windows import Window

MAX_FILES = 100
MAX_BYTES = 50_000_000  # bytes of all files; a minute of NeuCodec is about 25 KB
MAX_WAITING = 8  # requests that wait to be written; with more the disk is too slow
# Seconds after which an incomplete file counts as left by a crash; a younger one may be another
# process's.
LEFT_OVER_S = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedSegment:
    """A pause, or the codes of one generation and the windows in which they were decoded."""

    pause_s: float
    codes: list[list[int]]  # (frames, slots)
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """The record of a request's last attempt, which may be incomplete, without its text."""

    request_id: str
    cause: str  # an error's code, or "reported"
    codec: str
    left_frames: int  # most frames of context in a window
    takes: list[RecordedSegment]


def replay_record(kept: KeptCodes, request_id: str, cause: str) -> ReplayRecord:
    """Return the record of an attempt that has ended."""
    takes: list[RecordedSegment] = []
    for pause_s, stream in kept.segments:
        if pause_s:
            takes.append(RecordedSegment(pause_s, [], []))
        if stream is not None:
            codes = stream.codes.window(0, stream.codes.frames).tolist()
            takes.append(RecordedSegment(0.0, cast("list[list[int]]", codes), stream.windows))
    return ReplayRecord(request_id, cause, kept.codec, kept.left_frames, takes)


class ReplayStore:
    """Write records in a separate thread, so that no audio waits for the disk."""

    def __init__(
        self, folder: Path, most_files: int = MAX_FILES, most_bytes: int = MAX_BYTES
    ) -> None:
        self._folder = folder
        self._most_files = most_files
        self._most_bytes = most_bytes
        self._writer = ThreadPoolExecutor(1, "replays")
        self._slots = threading.Semaphore(MAX_WAITING)

    def prepare(self) -> None:
        """Create the folder if it is missing, and check that it is writable (blocks).

        Raises:
            LoadError: the folder cannot be created or written.
        """
        ensure_writable_folder(self._folder, "REPLAY_FOLDER")

    def save(self, codes: KeptCodes, request_id: str, cause: str) -> Future[bool] | None:
        """Queue a request for writing and return at once.

        The future's result is True if the request was written. The return value is None if the
        request is dropped, because the queue is full or the folder is closed.
        """
        if not self._slots.acquire(blocking=False):
            log.warning("request %s is not saved for a replay: the disk is too slow", request_id)
            return None
        try:
            return self._writer.submit(self._write, codes, request_id, cause)
        except RuntimeError:  # closed; a request cancelled by the shutdown ends after `close`
            self._slots.release()
            log.warning("request %s is not saved for a replay: the service is closed", request_id)
            return None

    def close(self) -> None:
        """Write the queued requests and stop (blocks)."""
        self._writer.shutdown()

    def _write(self, codes: KeptCodes, request_id: str, cause: str) -> bool:
        try:
            body = orjson.dumps(replay_record(codes, request_id, cause))
            if len(body) > self._most_bytes:
                return False
            self._delete_partial()
            self._put(f"{time.time_ns()}-{request_id}.json", body)
            self._evict()
        except OSError as exc:
            log.warning("request %s is not saved for a replay: %s", request_id, exc.strerror)
            return False
        finally:
            self._slots.release()
        return True

    def _put(self, name: str, body: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(self._folder / name, self._folder / f".{name}", body)

    def _delete_partial(self) -> None:
        """Delete incomplete files left by a crash, which the limits below do not count."""
        for partial in self._folder.glob(".[0-9]*-*.json"):
            if partial.stat().st_mtime < time.time() - LEFT_OVER_S:
                partial.unlink(missing_ok=True)

    def _evict(self) -> None:
        """Delete the oldest files beyond the limits on number and size."""
        files = sorted(self._folder.glob("[0-9]*-*.json"))  # time stamps of one length
        sizes = [file.stat().st_size for file in files]
        while len(files) > self._most_files or sum(sizes) > self._most_bytes:
            files.pop(0).unlink(missing_ok=True)
            sizes.pop(0)
