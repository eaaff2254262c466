"""Pauses in a text: found, measured, bounded; everything else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.request_errors import UnsupportedValue
from app.speech.pauses import Passage, passages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One moment.", [Passage(0, "One moment.")]),
        (
            "Please hold. [pause:500ms] Thank you.",
            [Passage(0, "Please hold. "), Passage(0.5, " Thank you.")],
        ),
        ("[pause: 1.5 s]Hello[PAUSE:2s]", [Passage(0, ""), Passage(1.5, "Hello"), Passage(2, "")]),
        ("[pause:1s][pause:1s]x", [Passage(0, ""), Passage(1, ""), Passage(1, "x")]),
        (
            "[pause:] [pause:5] [pause:5m] [pause",
            [Passage(0, "[pause:] [pause:5] [pause:5m] [pause")],
        ),
    ],
)
def test_pauses_part_the_text(text: str, expected: list[Passage]) -> None:
    assert passages(text) == expected


@pytest.mark.parametrize("text", ["[pause:10001ms]", "[pause:999999s]", "[pause:10s]" * 7])
def test_long_silence_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedValue):
        passages(text)


@given(
    st.lists(
        st.text(max_size=20).filter(lambda text: "[" not in text and "]" not in text),
        min_size=1,
        max_size=9,
    )
)
def test_no_text_is_lost(texts: list[str]) -> None:
    found = passages("[pause:20ms]".join(texts))
    assert [passage.text for passage in found] == texts
    assert [passage.pause_s for passage in found] == [0.0] + [0.02] * (len(texts) - 1)
