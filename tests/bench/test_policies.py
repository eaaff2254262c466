"""Batching policies as queues: the windows that share a call, and no window lost."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.codec import CodeWindow
from app.decode.queue import BatchLimits, Queue
from app.decode.scheduler import Scheduler
from app.tokens.windows import Window
from bench.policies import POLICIES, ArrivalBatches, ExactLengths, OneByOne, Policy, make_queue
from tests.fakes import Asked, ToneCodec


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def taken(queue: Queue[Asked]) -> list[int]:
    batch: list[Asked] = []
    queue.fill(batch)
    return [window.frames for window in batch]


def pushed(queue: Queue[Asked], *frames: int) -> list[Asked]:
    windows = [Asked(each) for each in frames]
    for window in windows:
        queue.push(window)
    return windows


def test_what_comes_within_the_collection_time_shares_a_call() -> None:
    clock = Clock()
    queue: ArrivalBatches[Asked] = ArrivalBatches(BatchLimits(8), clock, collect_s=0.01)
    early = pushed(queue, 1, 2)
    clock.now_s = 0.02
    late = pushed(queue, 3)
    assert all(window.opened for window in early) and not late[0].opened, (
        "chosen when the batch is sealed"
    )
    assert queue.full
    assert (taken(queue), taken(queue), taken(queue)) == ([1, 2], [3], [])


def test_a_batch_is_sealed_when_it_has_its_most_windows() -> None:
    queue: ArrivalBatches[Asked] = ArrivalBatches(BatchLimits(2), Clock())
    windows = pushed(queue, 1, 2, 3)
    assert [window.opened for window in windows] == [True, True, False]
    assert (taken(queue), taken(queue)) == ([1, 2], [3])


def test_a_batch_that_a_device_has_taken_is_not_joined() -> None:
    queue: ArrivalBatches[Asked] = ArrivalBatches(BatchLimits(8), Clock())
    pushed(queue, 1)
    assert not queue.full
    assert taken(queue) == [1]
    pushed(queue, 2)
    assert taken(queue) == [2]


def test_only_equal_lengths_share_a_call() -> None:
    queue: ExactLengths[Asked] = ExactLengths(BatchLimits(2))
    pushed(queue, 5, 6, 5, 5)
    assert queue.full
    assert [taken(queue) for _ in range(4)] == [[5, 5], [6], [5], []]


def test_without_batching_a_call_has_one_window() -> None:
    queue: OneByOne[Asked] = OneByOne()
    pushed(queue, 5, 5)
    assert [taken(queue) for _ in range(3)] == [[5], [5], []]


@given(
    st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.floats(0, 0.02)), max_size=30),
    st.sampled_from(POLICIES),
    st.sampled_from([None, 6]),
)
def test_every_window_that_is_waited_for_goes_once_and_no_call_is_too_large(
    asked: list[tuple[int, bool, float]], policy: Policy, padded_frames: int | None
) -> None:
    clock = Clock()
    queue: Queue[Asked] = make_queue(policy, BatchLimits(4, padded_frames), clock)
    windows: list[Asked] = []
    for frames, cancelled, later_s in asked:
        clock.now_s += later_s
        windows += pushed(queue, frames)
        windows[-1].cancelled = cancelled
    gone: list[Asked] = []
    while True:
        batch: list[Asked] = []
        queue.fill(batch)
        if not batch:
            break
        assert len(batch) <= 4
        assert len(batch) == 1 or max(w.frames for w in batch) * len(batch) <= (
            padded_frames or 1000
        )
        gone += batch
    assert len(queue) == 0 and not queue.drain()
    assert sorted(map(id, gone)) == sorted(id(window) for window in windows if not window.cancelled)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_waits_can_be_drained(policy: Policy) -> None:
    queue: Queue[Asked] = make_queue(policy, BatchLimits(2), Clock())
    windows = pushed(queue, 1, 2, 3)
    assert len(queue) == 3
    assert sorted(window.frames for window in queue.drain()) == [1, 2, 3]
    assert len(queue) == 0 and taken(queue) == []
    assert len(windows) == 3


@pytest.mark.parametrize("policy", POLICIES)
async def test_the_real_scheduler_works_with_each(policy: Policy) -> None:
    codec = ToneCodec()
    scheduler = Scheduler([codec], make_queue(policy, BatchLimits(4)))
    scheduler.start()
    try:
        windows = [CodeWindow(np.full((3 + place % 2, 1), place, np.int32)) for place in range(9)]
        sounds = await asyncio.gather(
            *[scheduler.decode(partial(_same, window), 0) for window in windows]
        )
    finally:
        await scheduler.close()
    for window, sound in zip(windows, sounds, strict=True):
        assert np.array_equal(sound.samples, codec.decode([window])[0])


def _same(window: CodeWindow) -> tuple[Window, CodeWindow]:
    frames = len(window.codes)
    return Window(0, 0, frames, frames, last=True), window
