from __future__ import annotations

import numpy as np
import torch

from app.codec.builtin.pulses import (
    BLOCK_SAMPLES,
    HIGHEST_HARMONIC_HZ,
    STEP_SAMPLES,
    phases,
    pulses,
    wrapped,
)

RATE = 24_000


def steady(hz: float, seconds: float) -> torch.Tensor:
    return torch.full((1, int(seconds * RATE)), hz, dtype=torch.float64)


def start(sample: int = 0) -> torch.Tensor:
    return torch.tensor([sample])


def test_a_steady_pitch_keeps_its_period_within_one_hertz() -> None:
    for hz in (80.0, 123.4, 201.7, 333.3):
        cycles = phases(steady(hz, 3.0), start())[0]
        turned = wrapped(cycles.diff()) * RATE
        assert float((turned - hz).abs().max()) <= 1.0 + 1e-6


def test_the_phase_never_jumps() -> None:
    chance = np.random.default_rng(0)
    pitch = torch.as_tensor(chance.uniform(90, 300, 400)).repeat_interleave(240).unsqueeze(0)
    advance = wrapped(phases(pitch, start())[0].diff()) * RATE
    assert float((advance - pitch[0, 1:]).abs().max()) <= 1.0 + 1e-6


def test_a_later_window_has_the_same_phase_two_blocks_in() -> None:
    pitch = 150 + 50 * torch.sin(torch.arange(5 * RATE, dtype=torch.float64) / 3000).unsqueeze(0)
    whole = phases(pitch, start())[0]
    for first in (1, 7_777, 12_000, 35_999):
        part = phases(pitch[:, first:], start(first))[0]
        known = 2 * BLOCK_SAMPLES
        assert float(wrapped(part[known:] - whole[first + known :]).abs().max()) < 1e-9


def test_rows_of_a_batch_keep_their_own_places() -> None:
    pitch = steady(171.3, 2.5).repeat(2, 1)
    together = phases(pitch, torch.tensor([0, 5_000]))
    assert torch.equal(together[0], phases(pitch[:1], start(0))[0])
    assert torch.equal(together[1], phases(pitch[:1], start(5_000))[0])


def test_unvoiced_steps_are_silent_and_voiced_ones_hold_every_harmonic() -> None:
    steps = torch.zeros(1, 200, dtype=torch.float64)
    steps[:, 60:] = 200.0
    train = pulses(steps, start())[0]
    assert float(train[: 59 * STEP_SAMPLES].abs().max()) == 0
    spectrum = torch.fft.rfft(train[-RATE // 2 :] * torch.hann_window(RATE // 2)).abs()
    harmonics = spectrum[100 : int(HIGHEST_HARMONIC_HZ / 2) : 100]  # bins of 2 Hz
    assert float(harmonics.min()) > 0.3 * float(harmonics.max())
    assert float(spectrum[6_000 - 100 :].max()) < 0.02 * float(harmonics.max())
