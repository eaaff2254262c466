"""Where failed and reported requests are kept for a replay: the latest, in files for the service's user alone."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import orjson

from app.folder import prepare, write_whole
from app.trail import Trail

MOST_FILES = 100
MOST_BYTES = 50_000_000  # of all files; a minute of NeuCodec is about 25 KB
MOST_WAITING = 8  # to be written: beyond that the disk is too slow, and nothing is kept
LEFT_OVER_S = 60.0  # a file begun so long ago is one that a crash cut off; a younger one may be another process's

log = logging.getLogger(__name__)


class ReplayFolder:
    """Writes in a thread of its own, so that no sound waits for the disk."""

    def __init__(
        self, folder: Path, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES
    ) -> None:
        self._folder, self._most_files, self._most_bytes = folder, most_files, most_bytes
        self._writer = ThreadPoolExecutor(1, "replays")
        self._room = threading.Semaphore(MOST_WAITING)

    def prepare(self) -> None:
        """Make the folder where it is not there (blocks).

        Raises:
            LoadError: it cannot be made or written.
        """
        prepare(self._folder, "REPLAY_FOLDER")

    def keep(self, trail: Trail, request_id: str, cause: str) -> Future[bool] | None:
        """Have a request written; returns at once, with what tells whether it was.

        None: it is not kept, as the disk is slow or all is closed.
        """
        if not self._room.acquire(blocking=False):
            log.warning(
                "request %s is not kept for a replay: too many wait for the disk", request_id
            )
            return None
        try:
            return self._writer.submit(self._write, trail, request_id, cause)
        except RuntimeError:  # closed: a request that was cut off at the shutdown ends after it
            self._room.release()
            log.warning("request %s is not kept for a replay: the service is closed", request_id)
            return None

    def close(self) -> None:
        """Write what waits (blocks)."""
        self._writer.shutdown()

    def _write(self, trail: Trail, request_id: str, cause: str) -> bool:
        try:
            body = orjson.dumps(trail.replay(request_id, cause))
            if len(body) > self._most_bytes:
                return False
            self._sweep()
            self._put(f"{time.time_ns()}-{request_id}.json", body)
            self._forget()
        except OSError as exc:
            log.warning("request %s is not kept for a replay: %s", request_id, exc.strerror)
            return False
        finally:
            self._room.release()
        return True

    def _put(self, name: str, body: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._folder / name, self._folder / f".{name}", body)

    def _sweep(self) -> None:
        """Delete what a crash cut off, which is beyond no bound and would stay for ever."""
        for part in self._folder.glob(".[0-9]*-*.json"):
            if part.stat().st_mtime < time.time() - LEFT_OVER_S:
                part.unlink(missing_ok=True)

    def _forget(self) -> None:
        """Delete the oldest beyond the bounds."""
        files = sorted(self._folder.glob("[0-9]*-*.json"))  # time stamps of one length
        sizes = [file.stat().st_size for file in files]
        while len(files) > self._most_files or sum(sizes) > self._most_bytes:
            files.pop(0).unlink(missing_ok=True)
            sizes.pop(0)
