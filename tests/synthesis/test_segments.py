"""The segments of a text, and their repetition for a second attempt."""

from __future__ import annotations

import asyncio
from typing import Self

import pytest

from app.errors import TextTimeout
from app.synthesis.segments import BufferedSegments, FixedSegments, Segment

TWO = [Segment("a"), Segment("b")]


class Dictated:
    """Parts that come from a queue; None ends them, an error is raised."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Segment | Exception | None] = asyncio.Queue()
        self.starved = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Segment:
        part = await self.queue.get()
        if isinstance(part, Exception):
            raise part
        if part is None:
            raise StopAsyncIteration
        return part


async def test_all_are_given_as_often_as_is_asked() -> None:
    parts = BufferedSegments(FixedSegments(TWO))
    for _ in range(3):
        assert [part async for part in parts] == TWO
        assert [part async for part in parts] == []
        parts.restart()


async def test_what_had_not_come_comes_after_what_had() -> None:
    dictated = Dictated()
    parts = BufferedSegments(dictated)
    dictated.queue.put_nowait(TWO[0])
    assert await anext(parts) == TWO[0]
    waiting = asyncio.create_task(parts.__anext__())
    await asyncio.sleep(0)
    assert parts.starved
    waiting.cancel()  # the first attempt has failed
    await asyncio.wait([waiting])
    parts.restart()
    assert not parts.starved  # one is there
    for item in (TWO[1], None):
        dictated.queue.put_nowait(item)
    assert [part async for part in parts] == TWO
    parts.restart()
    assert [part async for part in parts] == TWO


async def test_what_is_wrong_with_the_text_is_wrong_again() -> None:
    dictated = Dictated()
    parts = BufferedSegments(dictated)
    for _ in range(2):
        dictated.queue.put_nowait(TextTimeout("no more"))
        with pytest.raises(TextTimeout):
            await anext(parts)
