"""What a listener heard, from times and sizes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from bench.heard import BYTES_PER_S, Answer, percentile


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(
    values: list[float], percent: int
) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values)
    assert sum(value < found for value in values) < percent / 100 * len(values)


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 50))


def test_an_answer_is_made_of_its_pieces() -> None:
    second = BYTES_PER_S
    made = Answer.of("q", 1.0, [(2.0, second), (3.5, second)], tokens=100)
    assert made == Answer("q", 1.0, 2.0, 3.5, 2.0, 1, 0.5)
    assert made.heard_s == 4.5


def test_sound_that_comes_in_time_is_no_gap() -> None:
    second = BYTES_PER_S
    made = Answer.of("q", 1.0, [(2.0, second), (3.0, 2 * second), (4.5, second)], tokens=200)
    assert (made.gaps, made.silence_s, made.heard_s) == (0, 0.0, 6.0)


def test_an_answer_without_its_tokens_has_failed() -> None:
    assert Answer.of("q", 1.0, [], tokens=100).failure == "no audio"
    assert Answer.of("q", 1.0, [(2.0, BYTES_PER_S)], tokens=100).failure == "too short"
