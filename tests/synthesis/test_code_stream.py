"""A code stream while it is received: waiting for frames, and their pace."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import EngineProtocolError
from app.synthesis.code_stream import CodeStream
from app.tokens.code_buffer import FrameLayout
from tests.fakes import Clock

ONE_SLOT = FrameLayout(first=0, slots=1, vocabulary=100)
THREE_SLOTS = FrameLayout(first=10, slots=3, vocabulary=100)
FRAME = [10, 110, 210]


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def waiting(stream: CodeStream, frames: int) -> asyncio.Task[None]:
    task = asyncio.create_task(stream.wait_for(frames))
    await asyncio.sleep(0)
    return task


async def done(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


async def test_reaching_waits_for_so_many_frames_and_no_longer() -> None:
    stream = CodeStream(ONE_SLOT, 100)
    task = await waiting(stream, 3)
    stream.feed([1, 2])
    assert not await done(task)
    stream.feed([3])
    assert await done(task)
    await stream.wait_for(3)
    again = await waiting(stream, 4)
    assert not await done(again)
    stream.feed([4, 5, 6])
    assert await done(again)


async def test_a_partial_frame_is_not_a_frame() -> None:
    stream = CodeStream(THREE_SLOTS, 100)
    task = await waiting(stream, 1)
    stream.feed(FRAME[:2])
    assert not await done(task)
    stream.feed(FRAME[2:])
    assert await done(task)


async def test_the_end_is_enough() -> None:
    stream = CodeStream(ONE_SLOT, 100)
    task = await waiting(stream, 50)
    stream.feed([1])
    stream.finish()
    assert await done(task)
    assert stream.codes.ended
    await stream.wait_for(1_000)


async def test_more_than_was_asked_for_is_reached_at_once() -> None:
    stream = CodeStream(ONE_SLOT, 100)
    stream.feed([1, 2, 3])
    await stream.wait_for(2)
    await stream.wait_for(0)


async def test_what_the_codes_refuse_passes_through() -> None:
    stream = CodeStream(ONE_SLOT, 100)
    with pytest.raises(EngineProtocolError):
        stream.feed([100])
    assert stream.codes.frames == 0


async def test_it_is_ready_when_what_was_first_waited_for_has_come(clock: Clock) -> None:
    stream = CodeStream(ONE_SLOT, 100, clock=clock)
    task = await waiting(stream, 3)
    stream.feed([1, 2])
    assert stream.first_window_ready_s is None
    clock.now_s += 1
    stream.feed([3])
    clock.now_s += 1
    stream.feed([4])  # before the waiter has had its turn
    assert await done(task)
    again = await waiting(stream, 5)
    stream.feed([5])
    assert await done(again)
    assert stream.first_window_ready_s == 1_001


async def test_the_end_makes_it_ready(clock: Clock) -> None:
    stream = CodeStream(ONE_SLOT, 100, clock=clock)
    task = await waiting(stream, 3)
    stream.feed([1])
    clock.now_s += 1
    stream.finish()
    assert await done(task)
    assert stream.first_window_ready_s == 1_001


def test_the_pace_is_the_mean_time_between_frames_after_the_first(clock: Clock) -> None:
    stream = CodeStream(ONE_SLOT, 100, clock=clock)
    assert stream.s_per_frame == 0
    clock.now_s += 5  # the wait for the first token is no pace
    stream.feed([1])
    assert stream.s_per_frame == 0
    for _ in range(10):
        clock.now_s += 0.05
        stream.feed([1, 2, 3, 4, 5])
    assert stream.s_per_frame == pytest.approx(0.01)


def test_the_first_event_may_hold_many_frames(clock: Clock) -> None:
    stream = CodeStream(ONE_SLOT, 100, clock=clock)
    stream.feed([1] * 40)
    assert stream.s_per_frame == 0
    clock.now_s += 0.1
    stream.feed([1] * 10)
    assert stream.s_per_frame == pytest.approx(0.01)


def test_tokens_that_complete_no_frame_do_not_slow_the_pace(clock: Clock) -> None:
    stream = CodeStream(THREE_SLOTS, 100, clock=clock)
    stream.feed([5, 5])
    clock.now_s += 3
    stream.feed(FRAME)
    clock.now_s += 0.1
    stream.feed(FRAME)
    clock.now_s += 7
    stream.feed([5])
    stream.feed(FRAME[:1])
    assert stream.s_per_frame == pytest.approx(0.1)


def test_the_pace_of_a_stream_leaves_out_its_first_frames(clock: Clock) -> None:
    stream = CodeStream(ONE_SLOT, 100, clock=clock)
    stream.feed([1] * 40)
    clock.now_s += 2
    stream.feed([1] * 10)
    assert stream.pace(clock.now_s) == pytest.approx(5)
