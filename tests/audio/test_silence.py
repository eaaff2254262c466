"""Silence of more than three seconds is detected for any chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.samples import Samples
from app.audio.silence import SilenceDetector

RATE_HZ = 8_000


def tone(seconds: float, db: float) -> Samples:
    """A sine of this level (RMS)."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (10 ** (db / 20) * np.sqrt(2) * np.sin(2 * np.pi * 200 * time_s)).astype(np.float32)


def is_quiet(sound: Samples, sizes: list[int] | None = None) -> bool:
    quiet, at, found = SilenceDetector(RATE_HZ), 0, False
    for size in [*(sizes or []), len(sound)]:
        found = quiet.feed(sound[at : at + size]) or found
        at += size
    return found


@pytest.mark.fault(18)
@pytest.mark.parametrize("db", [-61.0, -200.0])
def test_more_than_three_seconds_of_silence_is_quiet(db: float) -> None:
    assert is_quiet(tone(3.1, db))
    assert is_quiet(np.concatenate([tone(1, -20), tone(3.1, db), tone(1, -20)]))


def test_three_seconds_or_a_murmur_is_not() -> None:
    assert not is_quiet(tone(3.0, -100))
    assert not is_quiet(tone(30.0, -59))
    assert not is_quiet(np.concatenate([tone(2.9, -100), tone(0.02, -40), tone(2.9, -100)]))


@given(
    spans=st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=8),
    sizes=st.lists(st.integers(0, 20_000), max_size=12),
)
def test_it_is_found_exactly_where_it_is_however_the_sound_is_cut(
    spans: list[tuple[int, bool]], sizes: list[int]
) -> None:
    blocks = [heard for count, heard in spans for _ in range(count)]
    sound = np.repeat(np.array(blocks, np.float32), RATE_HZ // 50) * np.float32(0.1)
    longest = max(
        (len(run) for run in "".join("#" if heard else "." for heard in blocks).split("#")),
        default=0,
    )
    assert is_quiet(sound, sizes) == (longest > 150)
