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


async def waiting(arrival: CodeStream, frames: int) -> asyncio.Task[None]:
    task = asyncio.create_task(arrival.wait_for(frames))
    await asyncio.sleep(0)
    return task


async def done(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return task.done()


async def test_reaching_waits_for_so_many_frames_and_no_longer() -> None:
    arrival = CodeStream(ONE_SLOT, 100)
    task = await waiting(arrival, 3)
    arrival.feed([1, 2])
    assert not await done(task)
    arrival.feed([3])
    assert await done(task)
    await arrival.wait_for(3)
    again = await waiting(arrival, 4)
    assert not await done(again)
    arrival.feed([4, 5, 6])
    assert await done(again)


async def test_a_partial_frame_is_not_a_frame() -> None:
    arrival = CodeStream(THREE_SLOTS, 100)
    task = await waiting(arrival, 1)
    arrival.feed(FRAME[:2])
    assert not await done(task)
    arrival.feed(FRAME[2:])
    assert await done(task)


async def test_the_end_is_enough() -> None:
    arrival = CodeStream(ONE_SLOT, 100)
    task = await waiting(arrival, 50)
    arrival.feed([1])
    arrival.finish()
    assert await done(task)
    assert arrival.codes.ended
    await arrival.wait_for(1_000)


async def test_more_than_was_asked_for_is_reached_at_once() -> None:
    arrival = CodeStream(ONE_SLOT, 100)
    arrival.feed([1, 2, 3])
    await arrival.wait_for(2)
    await arrival.wait_for(0)


async def test_what_the_codes_refuse_passes_through() -> None:
    arrival = CodeStream(ONE_SLOT, 100)
    with pytest.raises(EngineProtocolError):
        arrival.feed([100])
    assert arrival.codes.frames == 0


async def test_it_is_ready_when_what_was_first_waited_for_has_come(clock: Clock) -> None:
    arrival = CodeStream(ONE_SLOT, 100, clock=clock)
    task = await waiting(arrival, 3)
    arrival.feed([1, 2])
    assert arrival.first_window_ready_s is None
    clock.now_s += 1
    arrival.feed([3])
    clock.now_s += 1
    arrival.feed([4])  # before the waiter has had its turn
    assert await done(task)
    again = await waiting(arrival, 5)
    arrival.feed([5])
    assert await done(again)
    assert arrival.first_window_ready_s == 1_001


async def test_the_end_makes_it_ready(clock: Clock) -> None:
    arrival = CodeStream(ONE_SLOT, 100, clock=clock)
    task = await waiting(arrival, 3)
    arrival.feed([1])
    clock.now_s += 1
    arrival.finish()
    assert await done(task)
    assert arrival.first_window_ready_s == 1_001


def test_the_pace_is_the_mean_time_between_frames_after_the_first(clock: Clock) -> None:
    arrival = CodeStream(ONE_SLOT, 100, clock=clock)
    assert arrival.s_per_frame == 0
    clock.now_s += 5  # the wait for the first token is no pace
    arrival.feed([1])
    assert arrival.s_per_frame == 0
    for _ in range(10):
        clock.now_s += 0.05
        arrival.feed([1, 2, 3, 4, 5])
    assert arrival.s_per_frame == pytest.approx(0.01)


def test_the_first_event_may_hold_many_frames(clock: Clock) -> None:
    arrival = CodeStream(ONE_SLOT, 100, clock=clock)
    arrival.feed([1] * 40)
    assert arrival.s_per_frame == 0
    clock.now_s += 0.1
    arrival.feed([1] * 10)
    assert arrival.s_per_frame == pytest.approx(0.01)


def test_tokens_that_complete_no_frame_do_not_slow_the_pace(clock: Clock) -> None:
    arrival = CodeStream(THREE_SLOTS, 100, clock=clock)
    arrival.feed([5, 5])
    clock.now_s += 3
    arrival.feed(FRAME)
    clock.now_s += 0.1
    arrival.feed(FRAME)
    clock.now_s += 7
    arrival.feed([5])
    arrival.feed(FRAME[:1])
    assert arrival.s_per_frame == pytest.approx(0.1)
