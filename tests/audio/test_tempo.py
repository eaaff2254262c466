"""Speed: the length divided by it, the same pitch, and the same audio for any chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.audio.tempo import TimeStretcher

RATE_HZ = 24_000
SPEEDS = (0.25, 0.5, 0.8, 1.0, 1.25, 2.0, 3.0, 4.0)


def voice(seconds: float) -> NDArray[np.float32]:
    """200 Hz with overtones, swelling three times a second."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * 200 * k * time_s) / k for k in (1, 2, 3))
    return (0.2 * wave * (1 + 0.5 * np.sin(2 * np.pi * 3 * time_s))).astype(np.float32)


def played(samples: NDArray[np.float32], speed: float, sizes: list[int]) -> NDArray[np.float32]:
    tempo = TimeStretcher(RATE_HZ, speed)
    parts = np.split(samples, np.minimum(np.cumsum(sizes), len(samples)))
    return np.concatenate([*(tempo.feed(part) for part in parts), tempo.finish()])


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("seconds", [0.05, 0.4, 3.0])
def test_the_length_is_divided_to_the_sample(speed: float, seconds: float) -> None:
    samples = voice(seconds)
    assert len(played(samples, speed, [])) == round(len(samples) / speed)


@settings(max_examples=30, deadline=None)
@given(
    samples=st.integers(0, 30_000),
    speed=st.floats(0.25, 4.0),
    sizes=st.lists(st.integers(0, 9_000), max_size=5),
)
def test_any_length_is_divided_by_any_speed(samples: int, speed: float, sizes: list[int]) -> None:
    assert len(played(voice(samples / RATE_HZ), speed, sizes)) == round(samples / speed)


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_pitch_stays_within_one_percent(speed: float) -> None:
    heard = played(voice(4), speed, [])
    lags = np.arange(80, 161)  # 150 to 300 Hz
    body = heard[len(heard) // 4 : len(heard) // 4 + 12_000].astype(np.float64)
    likeness = [float(np.dot(body[:-lag], body[lag:])) / (len(body) - lag) for lag in lags]
    assert RATE_HZ / lags[int(np.argmax(likeness))] == pytest.approx(200, rel=0.01)


@settings(max_examples=30, deadline=None)
@given(speed=st.sampled_from(SPEEDS), sizes=st.lists(st.integers(0, 5_000), max_size=20))
def test_chunks_cannot_be_heard(speed: float, sizes: list[int]) -> None:
    samples = voice(0.8)
    assert np.array_equal(played(samples, speed, sizes), played(samples, speed, []))


def test_speed_one_touches_nothing() -> None:
    samples = voice(0.3)
    assert np.array_equal(played(samples, 1.0, [100, 7]), samples)


@pytest.mark.parametrize("speed", SPEEDS)
def test_silence_stays_silent_and_nothing_stays_nothing(speed: float) -> None:
    assert not played(np.zeros(5_000, np.float32), speed, []).any()
    assert not len(played(np.zeros(0, np.float32), speed, []))
