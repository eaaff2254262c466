"""The queue: the most urgent windows first, and no call that costs more than two would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decode.queue import BatchLimits, DeadlineQueue
from tests.fakes import Asked


def batches(windows: list[Asked], limits: BatchLimits) -> list[list[int]]:
    """The lengths in each call, in order, until nothing waits."""
    queue: DeadlineQueue[Asked] = DeadlineQueue(limits)
    for window in windows:
        queue.push(window)
    calls: list[list[int]] = []
    while len(queue):
        batch: list[Asked] = []
        queue.fill(batch)
        calls.append([window.frames for window in batch])
    return calls


def in_order(*frames: int) -> list[Asked]:
    return [Asked(length, place) for place, length in enumerate(frames)]


def test_without_a_price_of_a_call_any_lengths_share_one() -> None:
    assert batches(in_order(30, 380, 30), BatchLimits(8)) == [[30, 380, 30]]


def test_a_window_that_would_pad_the_others_too_far_waits_for_its_own_call() -> None:
    windows = in_order(30, 380, 31, 379)
    assert batches(windows, BatchLimits(8, call_overhead_frames=100)) == [[30, 31], [380, 379]]


def test_a_short_window_does_not_join_much_longer_ones() -> None:
    assert batches(in_order(380, 30, 370), BatchLimits(8, call_overhead_frames=100)) == [
        [380, 370],
        [30],
    ]


def test_padding_is_counted_over_the_whole_call() -> None:
    assert batches(in_order(50, 50, 50, 100), BatchLimits(8, call_overhead_frames=150)) == [
        [50, 50, 50, 100]
    ]
    assert batches(in_order(50, 50, 50, 100), BatchLimits(8, call_overhead_frames=149)) == [
        [50, 50, 50],
        [100],
    ]


def test_lengths_that_are_rounded_alike_bring_no_padding() -> None:
    limits = BatchLimits(8, frame_steps=(32, 64, 128), call_overhead_frames=0)
    assert batches(in_order(33, 64, 65), limits) == [[33, 64], [65]]


def test_a_full_call_ends_the_batch_for_everybody_behind() -> None:
    windows = in_order(100, 60, 20)
    assert batches(windows, BatchLimits(8, padded_frames=100)) == [[100], [60], [20]]


def test_a_dropped_window_is_neither_opened_nor_decoded() -> None:
    gone = Asked(500, cancelled=True)
    assert batches([gone, *in_order(30, 31)], BatchLimits(8, call_overhead_frames=100)) == [
        [30, 31]
    ]
    assert not gone.opened


@given(
    st.lists(st.tuples(st.integers(1, 400), st.floats(0, 9)), min_size=1, max_size=60),
    st.integers(0, 2000),
    st.sampled_from([None, 128, 4000]),
)
def test_the_most_urgent_window_goes_first_and_every_window_once(
    asked: list[tuple[int, float]], call_frames: int, padded_frames: int | None
) -> None:
    queue: DeadlineQueue[Asked] = DeadlineQueue(
        BatchLimits(16, padded_frames, (64, 256), call_frames)
    )
    waiting = [Asked(*each) for each in asked]
    for window in waiting:
        queue.push(window)
    while waiting:
        batch: list[Asked] = []
        queue.fill(batch)
        assert batch[0].deadline_s == min(window.deadline_s for window in waiting)
        lengths = [
            BatchLimits(16, None, (64, 256)).padded_length(window.frames) for window in batch
        ]
        assert max(lengths) * len(lengths) - sum(lengths) <= call_frames
        waiting = [window for window in waiting if window not in batch]
        assert len(queue) == len(waiting)


@pytest.mark.parametrize("call_frames", [None, 100])
def test_what_was_left_is_drained_too(call_frames: int | None) -> None:
    queue: DeadlineQueue[Asked] = DeadlineQueue(BatchLimits(8, call_overhead_frames=call_frames))
    for window in in_order(30, 380, 370):
        queue.push(window)
    batch: list[Asked] = []
    queue.fill(batch)
    assert len(batch) + len(queue.drain()) == 3
    assert len(queue) == 0
