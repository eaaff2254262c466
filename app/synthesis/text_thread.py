"""Process long texts in a thread instead of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONG_CHARACTERS = 1_000  # take 2 ms, in the worst case 20 ms


async def run_in_thread_if_long(text: str, read: Callable[[], T]) -> T:
    """Return the result of `read`, which runs in a thread if the text is long."""
    return read() if len(text) <= LONG_CHARACTERS else await asyncio.to_thread(read)
