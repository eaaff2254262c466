"""The segments of a text that is still being received, and of one that is complete."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import TextTimeout
from app.synthesis.request import CompleteSegments, Segment, Segments
from app.synthesis.text_stream import TextStream
from app.text.pauses import PausedText


def text_stream(idle_timeout_s: float = 10.0) -> TextStream:
    """Return a stream whose segments are its sentences."""

    def segments_of(paused_text: PausedText) -> list[Segment]:
        text = paused_text.text.strip()
        return [Segment(text, paused_text.pause_s)] if text else []

    return TextStream(segments_of, max_characters=1_000, idle_timeout_s=idle_timeout_s)


async def prompts(segments: Segments) -> list[str | None]:
    """Return the prompts of all segments, from the first."""
    found: list[str | None] = []
    while (segment := await segments.get(len(found))) is not None:
        found.append(segment.prompt)
    return found


async def test_all_are_given_as_often_as_is_asked() -> None:
    streamed = text_stream()
    await streamed.feed("One is here. Two is here.")
    await streamed.end()
    for segments in (streamed, CompleteSegments([Segment("a"), Segment("b")])):
        first = await prompts(segments)
        assert len(first) == 2
        assert await prompts(segments) == first
        assert await segments.get(2) is None


async def test_what_had_not_come_comes_after_what_had() -> None:
    segments = text_stream()
    await segments.feed("One is here. Tw")
    first = await segments.get(0)
    assert first is not None
    assert first.prompt == "One is here."
    assert not segments.starved
    waiting = asyncio.create_task(segments.get(1))
    await asyncio.sleep(0)
    assert segments.starved
    waiting.cancel()  # the first attempt has failed
    await asyncio.wait([waiting])
    assert not segments.starved
    assert await segments.get(0) == first  # one is there
    again = asyncio.create_task(segments.get(1))
    await asyncio.sleep(0)
    await segments.feed("o is here.")
    await segments.end()
    second = await again
    assert second is not None
    assert second.prompt == "Two is here."
    assert await prompts(segments) == ["One is here.", "Two is here."]


async def test_a_text_that_does_not_come_in_time_is_late_again() -> None:
    segments = text_stream(idle_timeout_s=0.01)
    for _ in range(2):
        with pytest.raises(TextTimeout):
            await segments.get(0)


async def test_a_closed_stream_gives_nothing_more() -> None:
    segments = text_stream()
    await segments.feed("One is here. Two is here.")
    segments.close()
    await segments.feed("Three is here.")
    await segments.end()
    waiting = asyncio.create_task(segments.get(0))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
