"""Underruns, from times and sizes of chunks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stress_test.underruns import underruns

RATE = 100.0  # bytes a second
ANSWERS = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 500)), min_size=1)


@pytest.mark.parametrize(
    ("chunks", "gaps", "silent_s"),
    [
        ([], 0, 0.0),
        ([(5.0, 10)], 0, 0.0),
        ([(5.0, 100), (6.0, 100)], 0, 0.0),  # just in time
        ([(5.0, 100), (6.5, 100)], 1, 0.5),
        (
            [(5.0, 100), (6.5, 100), (7.5, 100)],
            1,
            0.5,
        ),  # the listener goes on when sound comes, and is late from then
        ([(5.0, 100), (6.5, 100), (8.0, 100)], 2, 1.0),
        ([(5.0, 300), (7.0, 10), (8.0, 100)], 0, 0.0),
    ],
)
def test_a_gap_counts_when_the_audio_has_run_out(
    chunks: list[tuple[float, int]], gaps: int, silent_s: float
) -> None:
    assert underruns(chunks, RATE) == (gaps, pytest.approx(silent_s))


@settings(deadline=None)
@given(ANSWERS)
def test_sound_and_silence_fill_the_time_until_the_end(pieces: list[tuple[int, int]]) -> None:
    chunks = sorted((at_ms / 1000, size) for at_ms, size in pieces)
    gaps, silent_s = underruns(chunks, RATE)
    played_s = sum(size for _, size in chunks) / RATE
    assert chunks[0][0] + played_s + silent_s >= chunks[-1][0] - 1e-9
    assert (gaps == 0) == (silent_s == 0)
    assert gaps < len(chunks)


@settings(deadline=None)
@given(ANSWERS, st.floats(1.0, 4.0))
def test_more_sound_is_never_more_silence(pieces: list[tuple[int, int]], factor: float) -> None:
    chunks = sorted((at_ms / 1000, size) for at_ms, size in pieces)
    assert underruns(chunks, RATE / factor)[1] <= underruns(chunks, RATE)[1] + 1e-9
