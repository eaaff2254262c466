"""The longest speech of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.duration import SpeechRate

PACE = SpeechRate(characters_per_s=15.0, frames_per_s=50.0, max_factor=4.0, min_factor=0.1)
TEXT = "The quick brown fox jumps over the lazy dog, and then it sleeps."


def most_s(text: str) -> float:
    return PACE.bounds(text).max_frames / 50


def test_a_word_may_take_five_seconds_and_a_letter_no_minute() -> None:
    assert 5 < most_s("Hi.") < 7
    assert most_s("A.") < 10


def test_an_honest_answer_lies_well_within() -> None:
    bounds = PACE.bounds(TEXT)
    honest_frames = len(TEXT) / 15 * 50
    assert bounds.min_frames < honest_frames / 8
    assert bounds.max_frames > 4 * honest_frames


@pytest.mark.parametrize(
    "slow", ["1" * 40, "ABCD " * 10, "w " * 40, "你好" * 20, "∑ " * 20, "$ % & " * 10]
)
def test_what_takes_longer_to_say_than_to_write_may_last_longer(slow: str) -> None:
    assert most_s(slow) > 1.5 * most_s("e" * len(slow))


@pytest.mark.parametrize("text", ["Hello there.", "...!!!", "", "a " * 20])
def test_a_short_text_is_never_too_short(text: str) -> None:
    assert PACE.bounds(text).min_frames == 0


def test_a_pace_without_a_shortest_allows_any() -> None:
    assert SpeechRate(15.0, 50.0, 4.0, 0.0).bounds(TEXT * 10).min_frames == 0


@given(st.text(max_size=200), st.text(max_size=50))
def test_more_text_may_last_longer_and_the_bounds_are_in_order(text: str, more: str) -> None:
    bounds = PACE.bounds(text)
    assert 0 <= bounds.min_frames < bounds.max_frames <= PACE.bounds(f"{text} {more}").max_frames


def test_the_quickest_speech_counts_what_is_surely_said() -> None:
    assert PACE.min_expected_s("e" * 15) == pytest.approx(1 / 1.5)
    assert PACE.min_expected_s(TEXT.upper()) == PACE.min_expected_s(TEXT) < len(TEXT) / 15
    assert PACE.min_expected_s("1" * 40) == pytest.approx(6 * PACE.min_expected_s("e" * 40))
    assert PACE.min_expected_s("你好" * 20) == pytest.approx(4 * PACE.min_expected_s("e" * 40))
    assert PACE.min_expected_s("$ ... ∑ !") == 0


@given(st.text(max_size=200))
def test_the_quickest_speech_is_within_the_bounds(text: str) -> None:
    assert PACE.min_expected_s(text) * 50 <= PACE.bounds(text).max_frames
