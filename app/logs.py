"""Log configuration: text or JSON lines, also for uvicorn's loggers, written by a thread."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Literal, TextIO

from pythonjsonlogger.orjson import OrjsonFormatter

LogFormat = Literal["text", "json"]
MAX_QUEUED_BYTES = 1 << 20  # of queued lines; further lines are dropped
DRAIN_LIMIT_S = 2.0  # for writing the queued lines when the process ends
POLL_LIMIT_MS = 1_000  # longest wait for a non-blocking standard error to become writable


class QueuedStream(io.TextIOBase):
    """Standard error that never blocks its callers, even if it is a pipe that is not read.

    A thread writes the queued text. Text that does not fit into the queue is dropped, and the
    number of dropped lines is written in its place.
    """

    def __init__(self, descriptor: int, max_bytes: int = MAX_QUEUED_BYTES) -> None:
        """Write to the file descriptor, with at most `max_bytes` queued."""
        self._descriptor, self._max_bytes = descriptor, max_bytes
        self.notice: Callable[[int], str] = (
            "{} log lines were dropped because standard error was not read\n".format
        )
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Create an empty queue.

        Called after a fork too, because the child has no thread and the parent writes the old
        queue.
        """
        self._changed = threading.Condition()
        self._queue: deque[tuple[bytes, int]] = deque()  # text and its number of lines
        self._queued_bytes = self._dropped = 0
        self._thread: threading.Thread | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8 in every locale."""
        return "utf-8"

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        """Queue text, or drop it if the queue is full."""
        data = text.encode(errors="backslashreplace")
        with self._changed:
            if self._is_full(len(data)):
                self._dropped += text.count("\n")
                return len(text)
            self._report_dropped()
            self._put(data, text.count("\n"))
            self._changed.notify_all()
            self._start()
        return len(text)

    def flush(self) -> None:
        """Do nothing, because it must not block; `drain` waits."""

    def drain(self, limit_s: float = DRAIN_LIMIT_S) -> None:
        """Wait at most `limit_s` until the queue is written."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queued_bytes, limit_s)

    def _is_full(self, more_bytes: int) -> bool:
        """Return True if there is no room; after a drop the queue must first be half empty."""
        limit_bytes = self._max_bytes // 2 if self._dropped else self._max_bytes
        return self._queued_bytes + more_bytes > limit_bytes

    def _start(self) -> None:
        """Start the thread at the first text; if that fails, retry at the next."""
        if self._thread is None:
            thread = threading.Thread(target=self._write_all, name="log", daemon=True)
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _put(self, data: bytes, lines: int) -> None:
        self._queue.append((data, lines))
        self._queued_bytes += len(data)

    def _report_dropped(self) -> None:
        if self._dropped:
            lines, self._dropped = self._dropped, 0
            self._put(self.notice(lines).encode(errors="backslashreplace"), lines)

    def _write_all(self) -> None:
        """Write the queued texts, one at a time, until the process ends."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                data, lines = self._queue[0]
            written = self._write(data)
            with self._changed:
                self._queue.popleft()
                self._queued_bytes -= len(data)
                if not written:
                    self._dropped += lines
                elif not self._queue:
                    self._report_dropped()
                self._changed.notify_all()

    def _write(self, data: bytes) -> bool:
        """Write all of it; return False if the pipe has no reader or the disk is full."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(POLL_LIMIT_MS)
            except OSError:
                return False
        return True


class _LogHandler(logging.StreamHandler[TextIO]):
    """Log handler that waits for the queued lines at `logging.shutdown`."""

    def close(self) -> None:
        if isinstance(self.stream, QueuedStream):
            self.stream.drain()
        super().close()


def configure(level: str, log_format: LogFormat) -> None:
    """Log to standard error in one format, without blocking.

    Replaces `sys.stderr`, so that warnings and tracebacks do not block either.
    """
    formatter = _formatter(log_format)
    _queue_stderr(formatter)
    handler = _LogHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _queue_stderr(formatter: logging.Formatter) -> None:
    """Replace `sys.stderr` by a queue, unless it is one already or has no file descriptor."""
    if not isinstance(sys.stderr, QueuedStream):
        # In-memory streams have no descriptor; a closed standard error is None.
        with contextlib.suppress(OSError, AttributeError):
            sys.stderr.flush()
            sys.stderr = QueuedStream(sys.stderr.fileno())
    if isinstance(sys.stderr, QueuedStream):
        sys.stderr.notice = lambda lines: _notice(lines, formatter)


def _notice(lines: int, formatter: logging.Formatter) -> str:
    message = "%d log lines were dropped because standard error was not read"
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (lines,), None)
    return f"{formatter.format(record)}\n"


def _formatter(log_format: LogFormat) -> logging.Formatter:
    if log_format == "text":
        return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    return OrjsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
