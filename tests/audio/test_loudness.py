"""Loudness: one gain, found early and kept; no sample exceeds full scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.audio.loudness import MAX_GAIN_DB, SOFT_LIMIT_KNEE, LoudnessNormaliser, soft_limit
from app.audio.samples import Samples

RATE_HZ = 24_000
TARGET_DB = -16.0


def db(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def noise(seconds: float, level_db: float, seed: int = 0) -> Samples:
    drawn = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    return (drawn * 10 ** (level_db / 20)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def speech(level_db: float, *, bursts: int = 12) -> Samples:
    """Bursts of noise of 100 to 280 ms at `level_db`, with silences of 60 ms between them."""
    parts = [
        [noise(0.1 + 0.06 * (index % 4), level_db, index), silence(0.06)] for index in range(bursts)
    ]
    return np.concatenate([part for pair in parts for part in pair])


def leveller(
    estimation_window_s: float = 0.2, *, target_db: float = TARGET_DB
) -> LoudnessNormaliser:
    return LoudnessNormaliser(
        RATE_HZ, target_db=target_db, typical_db=-20.0, estimation_window_s=estimation_window_s
    )


def levelled(
    samples: Samples, estimation_window_s: float = 0.2, *, target_db: float = TARGET_DB
) -> Samples:
    level = leveller(estimation_window_s, target_db=target_db)
    return np.concatenate([level.feed(samples), level.finish()])


def voiced_after(samples: Samples, leveled: Samples, seconds: float) -> Samples:
    """The levelled sound where there was sound, from `seconds` on."""
    return leveled[np.flatnonzero(samples[round(seconds * RATE_HZ) :]) + round(seconds * RATE_HZ)]


def gains_db(samples: Samples, leveled: Samples) -> NDArray[np.float64]:
    """The gain at each voiced sample below the limiter's knee."""
    plain = (np.abs(samples) > 1e-4) & (np.abs(leveled) < SOFT_LIMIT_KNEE)
    return 20 * np.log10(np.abs(leveled[plain] / samples[plain]))


@given(
    sizes=st.lists(st.integers(0, 6_000), min_size=1, max_size=25),
    estimation_window_s=st.sampled_from([0.0, 0.02, 0.2, 1.5]),
    level_db=st.sampled_from([-35, -20, -6]),
)
def test_chunks_cannot_be_heard(
    sizes: list[int], estimation_window_s: float, level_db: int
) -> None:
    samples = speech(level_db, bursts=16)[: sum(sizes)]
    level = leveller(estimation_window_s)
    parts = [level.feed(chunk) for chunk in np.split(samples, np.cumsum(sizes))]
    chunked = np.concatenate([*parts, level.finish()])
    assert np.array_equal(chunked, levelled(samples, estimation_window_s))
    assert len(chunked) == len(samples)
    assert chunked.dtype == np.float32


@pytest.mark.parametrize("level_db", [-35, -30, -25, -20, -15, -10])
@pytest.mark.parametrize("target_db", [-16.0, -20.0])
def test_the_voiced_part_is_within_1_db_of_the_target_after_the_first_second(
    level_db: int, target_db: float
) -> None:
    samples = speech(level_db)
    later = voiced_after(samples, levelled(samples, target_db=target_db), 1.0)
    assert db(later) == pytest.approx(target_db, abs=1)


@pytest.mark.parametrize("level_db", [-26, -20, -14])
def test_the_first_second_is_near_the_target_too(level_db: int) -> None:
    samples = speech(level_db)
    first = voiced_after(samples, levelled(samples), 0)[: RATE_HZ // 2]
    assert db(first) == pytest.approx(TARGET_DB, abs=3)


def test_the_gain_is_constant_once_it_is_locked() -> None:
    samples = np.concatenate([speech(-24), speech(-40), speech(-12)])
    later = gains_db(samples[RATE_HZ:], levelled(samples)[RATE_HZ:])
    assert np.ptp(later) < 0.01


def test_the_locked_gain_counts_every_block_of_the_first_940_ms_once() -> None:
    samples = np.repeat(np.float32([0.03, 0.1]), [10 * 480, 90 * 480])
    level_db = 10 * np.log10((10 * 0.03**2 + 37 * 0.1**2) / 47)
    assert gains_db(samples, levelled(samples))[-1] == pytest.approx(
        TARGET_DB - level_db, abs=0.001
    )


def test_the_gain_moves_without_steps() -> None:
    samples = np.full(RATE_HZ * 2, 0.02, np.float32)
    assert np.abs(np.diff(levelled(samples))).max() < 0.02 * 10 ** (MAX_GAIN_DB / 20) / 480


def test_a_gain_has_its_limits() -> None:
    samples = np.full(RATE_HZ * 2, 0.006, np.float32)  # -44.4 dBFS, just voiced
    assert gains_db(samples, levelled(samples))[-1] == pytest.approx(MAX_GAIN_DB, abs=0.01)


@pytest.mark.parametrize(
    "opening",
    [
        silence(2.0),
        noise(3.0, -60),
        np.concatenate([np.ones(3, np.float32), silence(1.0)]),
        np.concatenate([noise(0.02, -3), silence(1.0)]),
        np.concatenate([silence(0.31), noise(0.02, -3), silence(0.2)]),
        np.concatenate([silence(0.105), noise(0.01, 0), silence(2.0)]),
    ],
    ids=["silence", "hiss", "impulse", "click", "click-between", "click-early"],
)
def test_what_comes_before_speech_does_not_derail_the_gain(opening: Samples) -> None:
    samples = np.concatenate([opening, speech(-26)])
    later = voiced_after(samples, levelled(samples), len(opening) / RATE_HZ + 1.0)
    assert db(later) == pytest.approx(TARGET_DB, abs=1)


def test_a_click_within_speech_costs_less_than_2_db() -> None:
    samples = speech(-20)
    samples[2_400:2_520] = noise(0.005, -3, 99)
    later = voiced_after(samples, levelled(samples), 1.0)
    assert db(later) == pytest.approx(TARGET_DB, abs=2)


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.02, 0.1, 0.5])
def test_short_answers_come_out_whole_and_near_the_typical_gain(seconds: float) -> None:
    samples = noise(seconds, -20)
    leveled = levelled(samples)
    assert len(leveled) == len(samples)
    if len(samples):
        assert db(leveled) == pytest.approx(TARGET_DB, abs=1.5)


def test_nothing_is_kept_back_after_the_lock() -> None:
    level = leveller()
    level.feed(speech(-20))
    assert len(level.feed(noise(0.001, -20))) == 24


@pytest.mark.parametrize("level_db", [-60, -20, 0, 20, 60])
def test_the_output_never_reaches_full_scale(level_db: int) -> None:
    samples = np.concatenate([speech(-35), speech(level_db)])
    assert np.abs(levelled(samples)).max() < 1
    assert np.abs(levelled(10 * np.clip(samples, -1, 1))).max() < 1


@given(values=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=1, max_size=50))
def test_the_limiter_is_odd_monotonic_and_transparent_below_its_knee(values: list[float]) -> None:
    samples = np.sort(np.array(values, np.float32))
    limited = soft_limit(samples)
    assert limited.dtype == np.float32
    assert np.abs(limited).max() < 1
    assert (np.diff(limited) >= 0).all()
    assert np.array_equal(soft_limit(-samples), -limited)
    quiet = np.abs(samples) <= SOFT_LIMIT_KNEE
    assert np.array_equal(limited[quiet], samples[quiet])


def test_the_limiter_takes_nothing() -> None:
    assert len(soft_limit(silence(0))) == 0
