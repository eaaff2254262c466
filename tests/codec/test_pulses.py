from __future__ import annotations

import numpy as np

from app.codec.builtin.pulses import (
    BLOCK_SAMPLES,
    HIGHEST_HARMONIC_HZ,
    STEP_SAMPLES,
    Doubles,
    Integers,
    phases,
    pulses,
    wrapped,
)

RATE = 24_000


def steady(hz: float, seconds: float) -> Doubles:
    return np.full((1, int(seconds * RATE)), hz)


def start(sample: int = 0) -> Integers:
    return np.array([sample])


def test_a_steady_pitch_keeps_its_period_within_one_hertz() -> None:
    for hz in (80.0, 123.4, 201.7, 333.3):
        advance_hz = wrapped(np.diff(phases(steady(hz, 3.0), start())[0])) * RATE
        assert np.abs(advance_hz - hz).max() <= 1.0 + 1e-6


def test_the_phase_never_jumps() -> None:
    random = np.random.default_rng(0)
    pitch = np.repeat(random.uniform(90, 300, 400), 240)[None]
    advance_hz = wrapped(np.diff(phases(pitch, start())[0])) * RATE
    assert np.abs(advance_hz - pitch[0, 1:]).max() <= 1.0 + 1e-6


def test_a_later_window_has_the_same_phase_two_blocks_in() -> None:
    pitch = 150 + 50 * np.sin(np.arange(5 * RATE) / 3000)[None]
    whole = phases(pitch, start())[0]
    for first in (1, 7_777, 12_000, 35_999):
        part = phases(pitch[:, first:], start(first))[0]
        known = 2 * BLOCK_SAMPLES
        assert np.abs(wrapped(part[known:] - whole[first + known :])).max() < 1e-9


def test_rows_of_a_batch_keep_their_own_places() -> None:
    pitch = np.repeat(steady(171.3, 2.5), 2, axis=0)
    together = phases(pitch, np.array([0, 5_000]))
    assert np.array_equal(together[0], phases(pitch[:1], start(0))[0])
    assert np.array_equal(together[1], phases(pitch[:1], start(5_000))[0])


def test_unvoiced_steps_are_silent_and_voiced_ones_hold_every_harmonic() -> None:
    steps = np.zeros((1, 200))
    steps[:, 60:] = 200.0
    train = pulses(steps, start())[0]
    assert np.abs(train[: 59 * STEP_SAMPLES]).max() == 0
    spectrum = np.abs(np.fft.rfft(train[-RATE // 2 :] * np.hanning(RATE // 2)))
    harmonics = spectrum[100 : int(HIGHEST_HARMONIC_HZ / 2) : 100]  # bins of 2 Hz
    assert harmonics.min() > 0.3 * harmonics.max()
    assert spectrum[6_000 - 100 :].max() < 0.02 * harmonics.max()
