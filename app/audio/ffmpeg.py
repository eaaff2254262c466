"""Limit on FFmpeg's threads, and the in-memory files that its containers write to."""

from __future__ import annotations

import ctypes
import io
from functools import cache

from av.filter import graph

ONE_THREAD = 1  # FFmpeg's limit on threads


@cache
def use_one_thread() -> None:
    """Make FFmpeg count one processor in this process, so that no filter graph starts threads.

    PyAV converts samples for an encoder in an internal filter graph, whose number of threads cannot
    be set. By default a graph has a thread for each processor, up to 16: 64 responses on 64 cores
    had 1,180 threads. They would gain nothing on chunks of 20 ms of audio.
    """
    # ctypes also finds symbols of the libraries that the module was linked with.
    library = ctypes.CDLL(graph.__file__)
    force_count = getattr(library, "av_cpu_force_count", None)
    if force_count is not None:  # None if FFmpeg was linked without its symbols
        force_count(ONE_THREAD)


class StreamFile:
    """File for a container that is streamed. It has no `seek`, so that FFmpeg only appends."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._head = bytearray()

    @property
    def head(self) -> bytes:
        """The bytes written before `keep_head`."""
        return bytes(self._head)

    def keep_head(self) -> None:
        """Keep all bytes written so far as the head."""
        self._head = bytearray(self.take())

    def write(self, data: bytes) -> int:
        """Append bytes."""
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        """Return and remove the bytes written since the last call."""
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


class WholeFile(StreamFile):
    """File for a whole body. The container writes lengths into its head at the end.

    mp3, flac and wav seek back only to bytes that they wrote before the first sample.
    """

    def __init__(self) -> None:
        super().__init__()
        self._at = 0
        self._size = 0

    def write(self, data: bytes) -> int:
        """Append bytes, or replace bytes of the head.

        Raises:
            OSError: the position is neither at the end nor within the head.
        """
        end = self._at + len(data)
        if self._at == self._size:
            super().write(data)
        elif end <= len(self._head):
            self._head[self._at : end] = data
        else:
            raise OSError("the container writes between its head and its end")
        self._at = end
        self._size = max(self._size, end)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position of the next write."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the position of the next write."""
        return self._at
