"""Token numbers become frames of codes, for any chunks; invalid ones are rejected or dropped."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import EngineProtocolError
from app.tokens.code_buffer import CodeBuffer, FrameLayout

NEUCODEC = FrameLayout(first=0, slots=1, vocabulary=65_536)
SNAC = FrameLayout(first=10, slots=7, vocabulary=4_096)
ROOM = 700


def snac_frame(*codes: int) -> list[int]:
    return [10 + slot * 4_096 + code for slot, code in enumerate(codes)]


def filled(layout: FrameLayout, numbers: list[int]) -> CodeBuffer:
    codes = CodeBuffer(layout, ROOM)
    codes.feed(numbers)
    return codes


def rows(codes: CodeBuffer) -> list[list[int]]:
    return codes.window(0, codes.frames).tolist()


SNAC_NUMBERS = st.lists(
    st.one_of(
        st.just([0, 9]),
        st.builds(lambda code: snac_frame(*[code] * 7), st.integers(0, 4_095)),
        st.builds(
            lambda slot, code: [10 + slot * 4_096 + code], st.integers(0, 6), st.integers(0, 4_095)
        ),
    ),
    max_size=30,
).map(lambda parts: [number for part in parts for number in part])
NEUCODEC_NUMBERS = st.lists(st.integers(0, 65_535), max_size=60)


def test_one_slot_takes_the_numbers_as_they_are() -> None:
    assert rows(filled(NEUCODEC, [0, 7, 65_535])) == [[0], [7], [65_535]]


def test_seven_slots_lose_their_offsets() -> None:
    assert rows(filled(SNAC, snac_frame(1, 2, 3, 4, 5, 6, 4_095) + snac_frame(*[0] * 7))) == [
        [1, 2, 3, 4, 5, 6, 4_095],
        [0] * 7,
    ]


STREAMS = st.one_of(
    st.tuples(st.just(SNAC), SNAC_NUMBERS), st.tuples(st.just(NEUCODEC), NEUCODEC_NUMBERS)
)


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 250), max_size=12))
def test_any_split_gives_the_same_frames(
    stream: tuple[FrameLayout, list[int]], cuts: list[int]
) -> None:
    layout, numbers = stream
    whole = filled(layout, numbers)
    split = CodeBuffer(layout, ROOM)
    edges = [0, *sorted(cuts), len(numbers)]
    for begin, end in itertools.pairwise(edges):
        split.feed(numbers[begin:end])
    for codes in (whole, split):
        codes.finish()
    assert rows(split) == rows(whole)
    assert (split.tokens, split.dropped, split.ended) == (whole.tokens, whole.dropped, True)


@given(numbers=SNAC_NUMBERS)
def test_every_token_is_in_a_frame_or_counted_as_dropped(numbers: list[int]) -> None:
    codes = filled(SNAC, numbers)
    codes.finish()
    assert codes.tokens == sum(number >= 10 for number in numbers)
    assert codes.frames * 7 + codes.dropped == codes.tokens


def test_control_tokens_are_skipped_also_within_a_frame() -> None:
    frame = snac_frame(1, 2, 3, 4, 5, 6, 7)
    codes = filled(SNAC, [5, *frame[:3], 9, 0, *frame[3:], 4])
    assert rows(codes) == [[1, 2, 3, 4, 5, 6, 7]]
    assert (codes.tokens, codes.dropped) == (7, 0)


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("layout", "number"),
    [(NEUCODEC, 65_536), (NEUCODEC, -1), (NEUCODEC, 10**20), (SNAC, 10 + 7 * 4_096), (SNAC, -1)],
)
def test_a_number_outside_the_vocabulary_is_refused_with_all_that_came_beside_it(
    layout: FrameLayout, number: int
) -> None:
    codes = CodeBuffer(layout, ROOM)
    with pytest.raises(EngineProtocolError):
        codes.feed([10, number])
    assert (codes.frames, codes.tokens) == (0, 0)


@pytest.mark.parametrize(
    ("numbers", "dropped"),
    [
        (snac_frame(1, 2, 3)[1:], 2),  # begins out of turn
        (snac_frame(1, 2, 3), 3),  # a new slot 0 comes too early
        (snac_frame(1, 2, 3) + snac_frame(1, 2, 3, 4, 5)[4:], 4),  # one slot is left out
        (
            snac_frame(1, 2) + snac_frame(1, 2)[1:] + snac_frame(1, 2, 3)[2:],
            4,
        ),  # one slot comes twice
    ],
)
def test_after_a_slot_out_of_turn_the_next_slot_0_begins_a_frame(
    numbers: list[int], dropped: int
) -> None:
    codes = filled(SNAC, numbers + snac_frame(9, 8, 7, 6, 5, 4, 3))
    assert rows(codes) == [[9, 8, 7, 6, 5, 4, 3]]
    assert codes.dropped == dropped


def test_a_partial_last_frame_is_dropped_at_the_end_only() -> None:
    codes = filled(SNAC, snac_frame(1, 2, 3, 4, 5, 6, 7) + snac_frame(1, 2))
    assert (codes.frames, codes.dropped, codes.ended) == (1, 0, False)
    codes.finish()
    assert (codes.frames, codes.dropped, codes.ended) == (1, 2, True)


def test_a_window_taken_earlier_is_not_changed_by_later_codes() -> None:
    codes = filled(NEUCODEC, [1, 2, 3])
    window = codes.window(1, 3)
    codes.feed(list(range(600)))
    assert window.tolist() == [[2], [3]]
    assert window.shape == (2, 1)
    assert window.dtype == np.int32


@pytest.mark.parametrize(("layout", "most"), [(NEUCODEC, 5), (NEUCODEC, 1), (SNAC, 21), (SNAC, 3)])
def test_exactly_max_tokens_fit(layout: FrameLayout, most: int) -> None:
    numbers = (snac_frame(*[1] * 7) * 3)[:most]
    codes = CodeBuffer(layout, most)
    codes.feed(numbers)
    assert codes.frames == most // layout.slots
    with pytest.raises(EngineProtocolError):
        codes.feed(numbers[:1])


def test_tokens_out_of_turn_count_towards_max_tokens() -> None:
    codes = CodeBuffer(SNAC, 50)
    with pytest.raises(EngineProtocolError):
        for _ in range(51):
            codes.feed(snac_frame(1))
