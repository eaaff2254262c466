from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.embedded.silence_trim import LEAD_FRAMES, TAIL_FRAMES, SilenceTrim


@pytest.mark.parametrize("ends_sentence", [True, False])
@given(sizes=st.lists(st.integers(0, 12), max_size=12))
def test_lead_and_inner_tail_are_left_out_however_the_codes_come(
    ends_sentence: bool, sizes: list[int]
) -> None:
    codes = list(range(sum(sizes)))
    trim, done = SilenceTrim(ends_sentence=ends_sentence), 0
    heard: list[int] = []
    for size in sizes:
        heard += trim.feed(codes[done : done + size])
        done += size
    assert (
        heard
        == codes[LEAD_FRAMES : max(LEAD_FRAMES, len(codes) - (0 if ends_sentence else TAIL_FRAMES))]
    )


def test_a_sentence_s_last_piece_holds_nothing_back() -> None:
    trim = SilenceTrim(ends_sentence=True)
    assert trim.feed(list(range(LEAD_FRAMES + 1))) == [LEAD_FRAMES]
    assert trim.feed([5]) == [5]
