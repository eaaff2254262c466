"""Resampling: the same tone and length, and the same samples for any chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.audio.resample import Resampler

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000)
TONE = (0.5 * np.sin(2 * np.pi * 1_000 * np.arange(24_000) / 24_000)).astype(np.float32)


def resampled(to_hz: int, sizes: list[int]) -> NDArray[np.float32]:
    stream = Resampler(24_000, to_hz)
    parts = np.split(TONE, np.minimum(np.cumsum(sizes), len(TONE)))
    return np.concatenate([*(stream.feed(part) for part in parts), stream.finish()])


@pytest.mark.parametrize("to_hz", RATES_HZ)
def test_a_second_stays_a_second_and_its_tone_the_tone(to_hz: int) -> None:
    heard = resampled(to_hz, [])
    assert abs(len(heard) - to_hz) <= 1
    expected = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(len(heard)) / to_hz)
    inner = slice(to_hz // 10, -to_hz // 10)
    assert np.abs(heard[inner] - expected[inner]).max() < 1e-3


@settings(max_examples=30, deadline=None)
@given(to_hz=st.sampled_from(RATES_HZ), sizes=st.lists(st.integers(0, 5_000), max_size=20))
def test_chunks_cannot_be_heard(to_hz: int, sizes: list[int]) -> None:
    assert np.array_equal(resampled(to_hz, sizes), resampled(to_hz, []))


def test_the_same_rate_touches_nothing() -> None:
    assert np.array_equal(resampled(24_000, [1, 2, 3]), TONE)
