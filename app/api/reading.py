"""Texts are read beside the event loop where they are long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONG_CHARACTERS = 1_000  # read in 2 ms, in 20 where each of them is as hard as can be


async def beside(text: str, read: Callable[[], T]) -> T:
    """The result of reading a text; a long one is read in a thread, so that the event loop goes on meanwhile."""
    return read() if len(text) <= LONG_CHARACTERS else await asyncio.to_thread(read)
