"""A loop of codes is found for any chunks, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.tokens.repetition import (
    MAX_PERIOD_FRAMES,
    MIN_LOOP_S,
    REPEATS,
    STRIDE_FRAMES,
    LoopDetector,
)

FRAMES_PER_S = 50
LEAST_FRAMES = round(MIN_LOOP_S * FRAMES_PER_S)
Codes = NDArray[np.int32]


def frames_of(numbers: list[int], slots: int = 1) -> Codes:
    """Return each number as a frame."""
    return np.array(numbers, np.int32).repeat(slots).reshape(-1, slots)


def found_at(codes: Codes, sizes: list[int] | None = None) -> int | None:
    """Return the number of frames after which a loop was found."""
    repetition, come = LoopDetector(FRAMES_PER_S), 0
    for size in [*(sizes or []), len(codes)]:
        come = min(len(codes), come + size)
        if repetition.feed(codes[:come]):
            return come
    return None


@pytest.mark.fault(18)
@given(
    before=st.lists(st.integers(0, 3), max_size=70),
    period=st.lists(st.integers(0, 50), min_size=1, max_size=MAX_PERIOD_FRAMES),
    slots=st.sampled_from([1, 7]),
)
def test_every_loop_is_found_soon(before: list[int], period: list[int], slots: int) -> None:
    needed = max(REPEATS * len(period), LEAST_FRAMES) + STRIDE_FRAMES
    looped = (period * (needed // len(period) + 1))[:needed]
    codes = frames_of([*before, *looped], slots)
    assert found_at(codes, [1] * len(codes)) is not None


@given(
    codes=st.lists(st.integers(0, 1), max_size=600), sizes=st.lists(st.integers(0, 90), max_size=20)
)
def test_the_way_codes_arrive_makes_no_difference(codes: list[int], sizes: list[int]) -> None:
    whole = frames_of([*codes, *[1] * 170])
    assert found_at(whole, sizes) is not None
    other = frames_of(codes)
    assert (found_at(other, sizes) is None) == (found_at(other) is None)


@pytest.mark.parametrize("period", [1, 2, 7, 18])
def test_a_short_period_may_repeat_for_less_than_three_seconds(period: int) -> None:
    """A second of silence is one code, fifty times."""
    before = list(range(1_000, 1_000 + 3 * STRIDE_FRAMES))
    span = LEAST_FRAMES - period
    assert (
        found_at(
            frames_of([*before, *(list(range(period)) * LEAST_FRAMES)[:span], *range(2_000, 2_100)])
        )
        is None
    )


def test_seven_times_the_same_second_is_no_loop() -> None:
    assert (
        found_at(frames_of([*range(900, 950), *list(range(50)) * 7, *range(2_000, 2_100)])) is None
    )


@given(st.lists(st.integers(0, 65_535), max_size=600, unique=True))
def test_codes_that_do_not_come_again_are_no_loop(codes: list[int]) -> None:
    assert found_at(frames_of(codes)) is None


def test_a_longer_period_is_no_loop() -> None:
    assert found_at(frames_of(list(range(MAX_PERIOD_FRAMES + 1)) * 20)) is None
