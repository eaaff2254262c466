"""What a listener heard, from times and sizes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.heard import BYTES_PER_S, Answer, audio_rate, percentile, silence

RATE = 100.0  # bytes a second
ANSWERS = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 500)), min_size=1)


@pytest.mark.parametrize(
    ("chunks", "gaps", "silent_s"),
    [
        ([], 0, 0.0),
        ([(5.0, 10)], 0, 0.0),
        ([(5.0, 100), (6.0, 100)], 0, 0.0),  # just in time
        ([(5.0, 100), (6.5, 100)], 1, 0.5),
        ([(5.0, 100), (6.5, 100), (7.5, 100)], 1, 0.5),  # the listener goes on when sound comes, and is late from then
        ([(5.0, 100), (6.5, 100), (8.0, 100)], 2, 1.0),
        ([(5.0, 300), (7.0, 10), (8.0, 100)], 0, 0.0),
    ],
)
def test_a_gap_counts_when_the_audio_has_run_out(chunks: list[tuple[float, int]], gaps: int, silent_s: float) -> None:
    assert silence(chunks, RATE) == (gaps, pytest.approx(silent_s))


@given(ANSWERS)
def test_sound_and_silence_fill_the_time_until_the_end(pieces: list[tuple[int, int]]) -> None:
    chunks = sorted((at_ms / 1000, size) for at_ms, size in pieces)
    gaps, silent_s = silence(chunks, RATE)
    played_s = sum(size for _, size in chunks) / RATE
    assert chunks[0][0] + played_s + silent_s >= chunks[-1][0] - 1e-9
    assert (gaps == 0) == (silent_s == 0)
    assert gaps < len(chunks)


@given(ANSWERS, st.floats(1.0, 4.0))
def test_more_sound_is_never_more_silence(pieces: list[tuple[int, int]], factor: float) -> None:
    chunks = sorted((at_ms / 1000, size) for at_ms, size in pieces)
    assert silence(chunks, RATE / factor)[1] <= silence(chunks, RATE)[1] + 1e-9


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values)
    assert sum(value < found for value in values) < percent / 100 * len(values)


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 50))


def answer(asked_s: float, end_s: float, audio_s: float) -> Answer:
    return Answer("q", asked_s, asked_s, end_s, audio_s, 0, 0.0)


def test_an_answer_counts_in_proportion_to_the_time_that_it_shares() -> None:
    answers = [answer(0, 2, 8), answer(1, 5, 8), answer(9, 12, 6), answer(20, 30, 100), answer(3, 3, 0)]
    assert audio_rate(answers, 1, 11) == pytest.approx((4 + 8 + 4) / 10)


def test_an_answer_is_made_of_its_pieces() -> None:
    second = BYTES_PER_S
    made = Answer.of("q", 1.0, [(2.0, second), (3.5, second)], tokens=100)
    assert made == Answer("q", 1.0, 2.0, 3.5, 2.0, 1, 0.5)


def test_an_answer_without_its_tokens_has_failed() -> None:
    assert Answer.of("q", 1.0, [], tokens=100).failure == "no audio"
    assert Answer.of("q", 1.0, [(2.0, BYTES_PER_S)], tokens=100).failure == "too short"
