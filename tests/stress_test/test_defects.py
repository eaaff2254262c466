"""Clicks and silences: found in signals made for it, and not in a voice-like signal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stress_test.defects import Samples, at_joins, is_silent, silences_s, steps
from tests.stress_test.server import RATE_HZ, tone


def voice_like(seconds: float, seed: int = 1) -> Samples:
    """Pulses through a resonance, and noise: fast changes that are no faults."""
    rng = np.random.default_rng(seed)
    pulses = np.zeros(round(seconds * RATE_HZ))
    pulses[:: RATE_HZ // 110] = 1.0
    time_s = np.arange(240) / RATE_HZ
    formant = np.exp(-300 * time_s) * np.sin(2 * np.pi * 700 * time_s)
    voiced = np.convolve(pulses, formant)[: len(pulses)] * 0.5
    return (voiced + 0.02 * rng.standard_normal(len(pulses))).astype(np.float32)


def square(half_period: int) -> Samples:
    """Jumps that are far from each other and alike."""
    return (0.5 * (-1.0) ** (np.arange(RATE_HZ) // half_period)).astype(np.float32)


@pytest.mark.parametrize(
    "signal",
    [
        tone(2.0, level=0.9),
        voice_like(2.0),
        np.zeros(0, np.float32),
        tone(0.001),
        square(110),
        square(50),
    ],
)
def test_an_unbroken_signal_has_no_steps(signal: Samples) -> None:
    assert steps(signal, RATE_HZ).tolist() == []


@settings(deadline=None)
@given(st.integers(300, 40_000), st.sampled_from([0.1, -0.1, 0.4]))
def test_a_step_is_found_where_it_is(at: int, height: float) -> None:
    signal = tone(2.0, level=0.2)
    signal[at:] += height
    assert steps(signal, RATE_HZ).tolist() == [at]


def test_a_step_that_nobody_hears_is_none() -> None:
    signal = tone(1.0, level=0.01)
    signal[5_000:] += 0.015
    assert steps(signal, RATE_HZ).tolist() == []


def test_a_step_within_a_voice_is_found() -> None:
    signal = voice_like(2.0)
    signal[20_000:] -= 1.2 + signal[20_000] - signal[19_999]
    assert steps(signal, RATE_HZ).tolist() == [20_000]


def test_a_step_is_of_a_seam_when_a_chunk_ends_there() -> None:
    signal = tone(1.0)
    signal[5_000:] += 0.3
    signal[9_000:] -= 0.3
    found = steps(signal, RATE_HZ)
    assert found.tolist() == [5_000, 9_000]
    assert at_joins(found, np.array([5_000, 7_000, 24_000])) == 1


@pytest.mark.parametrize(
    ("pauses_s", "expected_s"),
    [([], []), ([0.9], []), ([1.5], [1.5]), ([1.2, 0.5, 2.0], [1.2, 2.0])],
)
def test_long_silences_within_the_speech_are_found(
    pauses_s: list[float], expected_s: list[float]
) -> None:
    parts = [
        tone(0.5),
        *(np.concatenate([np.zeros(round(s * RATE_HZ), np.float32), tone(0.5)]) for s in pauses_s),
    ]
    assert silences_s(np.concatenate(parts), RATE_HZ) == pytest.approx(expected_s, abs=0.02)


def test_silence_around_the_speech_is_none_within_it() -> None:
    around = np.zeros(2 * RATE_HZ, np.float32)
    assert silences_s(np.concatenate([around, tone(0.5), around]), RATE_HZ) == []


@pytest.mark.parametrize(
    ("signal", "silent"),
    [
        (np.zeros(100, np.float32), True),
        (np.zeros(0, np.float32), True),
        (tone(0.1, level=0.0009), True),
        (tone(0.1), False),
    ],
)
def test_an_answer_is_silent_when_nothing_in_it_is_heard(signal: Samples, silent: bool) -> None:
    assert is_silent(signal) is silent
