"""Pauses in a text: found, measured, bounded; all else stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import UnsupportedValue
from app.text.pauses import PausedText, split_at_pauses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One moment.", [PausedText(0, "One moment.")]),
        (
            "Please hold. [pause:500ms] Thank you.",
            [PausedText(0, "Please hold. "), PausedText(0.5, " Thank you.")],
        ),
        (
            "[pause: 1.5 s]Hello[PAUSE:2s]",
            [PausedText(0, ""), PausedText(1.5, "Hello"), PausedText(2, "")],
        ),
        ("[pause:1s][pause:1s]x", [PausedText(0, ""), PausedText(1, ""), PausedText(1, "x")]),
        (
            "[pause:] [pause:5] [pause:5m] [pause",
            [PausedText(0, "[pause:] [pause:5] [pause:5m] [pause")],
        ),
    ],
)
def test_pauses_part_the_text(text: str, expected: list[PausedText]) -> None:
    assert split_at_pauses(text) == expected


@pytest.mark.parametrize("text", ["[pause:10001ms]", "[pause:999999s]", "[pause:10s]" * 7])
def test_long_silence_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedValue):
        split_at_pauses(text)


@given(
    st.lists(
        st.text(max_size=20).filter(lambda text: "[" not in text and "]" not in text),
        min_size=1,
        max_size=9,
    )
)
def test_no_text_is_lost(texts: list[str]) -> None:
    found = split_at_pauses("[pause:20ms]".join(texts))
    assert [passage.text for passage in found] == texts
    assert [passage.pause_s for passage in found] == [0.0] + [0.02] * (len(texts) - 1)
