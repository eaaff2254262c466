"""The log: lines of text, or of JSON, of this service and of uvicorn alike, written by a thread of their own."""

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
WAITING_BYTES = 1 << 20  # of lines that have not been written; further ones are dropped
LAST_LINES_S = 2.0  # for what waits at the end of the process
RETRY_MS = 1_000  # where standard error is set not to block


class QueuedStream(io.TextIOBase):
    """Standard error whose writer never waits: a thread of its own writes, since a pipe that is not read is full.

    What does not fit into the queue is dropped and counted, and the count is written where the lines are missing.
    """

    def __init__(self, descriptor: int, waiting_bytes: int = WAITING_BYTES) -> None:
        """`descriptor`: of the file that is written."""
        self._descriptor, self._most_bytes = descriptor, waiting_bytes
        self.notice: Callable[[int], str] = (
            "{} lines of the log were dropped: standard error was not read\n".format
        )
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Begin with an empty queue; a fork has no thread, and another process writes what had waited."""
        self._changed = threading.Condition()
        self._queue: deque[tuple[bytes, int]] = deque()  # each with the lines that are lost with it
        self._waiting_bytes = self._dropped = 0
        self._thread: threading.Thread | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8, whatever the locale."""
        return "utf-8"

    def fileno(self) -> int:
        """The descriptor of the file."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tell whether the file is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str, /) -> int:
        """Queue text, or drop it where the queue is full."""
        data = text.encode(errors="backslashreplace")
        with self._changed:
            if self._is_full(len(data)):
                self._dropped += text.count("\n")
                return len(text)
            self._tell_dropped()
            self._put(data, text.count("\n"))
            self._changed.notify_all()
            self._start()
        return len(text)

    def flush(self) -> None:
        """Return at once; see `drain`."""

    def drain(self, limit_s: float = LAST_LINES_S) -> None:
        """Wait until everything has been written, within a limit."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting_bytes, limit_s)

    def _is_full(self, more_bytes: int) -> bool:
        """Tell whether there is no room; once something was dropped, the queue has to be half empty first."""
        most_bytes = self._most_bytes // 2 if self._dropped else self._most_bytes
        return self._waiting_bytes + more_bytes > most_bytes

    def _start(self) -> None:
        """Start the thread with the first text; where none can be started, try again with the next."""
        if self._thread is None:
            thread = threading.Thread(target=self._write_all, name="log", daemon=True)
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _put(self, data: bytes, lines: int) -> None:
        self._queue.append((data, lines))
        self._waiting_bytes += len(data)

    def _tell_dropped(self) -> None:
        if self._dropped:
            lines, self._dropped = self._dropped, 0
            self._put(self.notice(lines).encode(errors="backslashreplace"), lines)

    def _write_all(self) -> None:
        """Write what is queued, one text at a time, for as long as the process lives."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue)
                data, lines = self._queue[0]
            written = self._write(data)
            with self._changed:
                self._queue.popleft()
                self._waiting_bytes -= len(data)
                if not written:
                    self._dropped += lines
                elif not self._queue:
                    self._tell_dropped()
                self._changed.notify_all()

    def _write(self, data: bytes) -> bool:
        """Write all of it; False where that cannot be done: the pipe has no reader, the disk is full."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(RETRY_MS)
            except OSError:
                return False
        return True


class _LogHandler(logging.StreamHandler[TextIO]):
    """A handler that waits for the last lines when the process ends (`logging.shutdown`)."""

    def close(self) -> None:
        """Wait until the lines are written, within a limit."""
        if isinstance(self.stream, QueuedStream):
            self.stream.drain()
        super().close()


def configure(level: str, form: LogFormat) -> None:
    """Send what is logged to standard error, every logger's in one form, without waiting for who reads it.

    From now on that holds for everything that Python writes to `sys.stderr`: warnings and tracebacks too.
    """
    formatter = _formatter(form)
    _queue_stderr(formatter)
    handler = _LogHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _queue_stderr(formatter: logging.Formatter) -> None:
    """Put a queue before standard error, once, where it is a file: memory cannot block."""
    if not isinstance(sys.stderr, QueuedStream):
        with contextlib.suppress(
            OSError, AttributeError
        ):  # it is memory, or closed: sys.stderr is None
            sys.stderr.flush()
            sys.stderr = QueuedStream(sys.stderr.fileno())
    if isinstance(sys.stderr, QueuedStream):
        sys.stderr.notice = lambda lines: _notice(lines, formatter)


def _notice(lines: int, formatter: logging.Formatter) -> str:
    message = "%d lines of the log were dropped: standard error was not read"
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (lines,), None)
    return f"{formatter.format(record)}\n"


def _formatter(form: LogFormat) -> logging.Formatter:
    if form == "text":
        return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    return OrjsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
