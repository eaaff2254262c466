"""Encoded bytes of a response that is sent as one body."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

# Bytes per block of a stored body, large enough for the allocator to return it to the system.
BLOCK_BYTES = 1 << 20


class WholeBody:
    """Bytes of one body, stored once."""

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        self._last = bytearray()
        self.size = 0

    def append(self, data: bytes) -> None:
        """Add bytes to the end."""
        self.size += len(data)
        self._last += data
        if len(self._last) >= BLOCK_BYTES:
            self._blocks.append(bytes(self._last))
            self._last.clear()

    def prepend(self, header: bytes) -> None:
        """Add bytes to the start."""
        self.size += len(header)
        self._blocks.appendleft(header)

    def blocks(self) -> Iterator[bytes]:
        """Yield all bytes in blocks and release each, which leaves the body empty."""
        self._blocks.append(bytes(self._last))
        self._last.clear()
        while self._blocks:
            yield self._blocks.popleft()
