"""Pulse train of the built-in codec in torch; see `app.codec.builtin.pulses`."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from app.codec.builtin.pulses import (
    BLOCK_SAMPLES,
    HIGHEST_HARMONIC_HZ,
    LOUDNESS,
    SAMPLE_RATE_HZ,
    STEP_SAMPLES,
    UNVOICED_HZ,
)


def phases(pitch_hz: Tensor, first_sample: Tensor) -> Tensor:
    """Compute phases in cycles, 0 to 1, float64.

    Args:
        pitch_hz: pitch at each sample (batch, samples), float64.
        first_sample: position of each row in its stream (batch,). Phases in the first two blocks of
            a row are correct only if its stream begins there.
    """
    cycles = functional.pad((pitch_hz / SAMPLE_RATE_HZ).cumsum(1), (1, 0))
    own = torch.arange(1, cycles.shape[1], device=pitch_hz.device)
    into_block = (first_sample.unsqueeze(1) + own) % BLOCK_SAMPLES
    block_start = (own - into_block).clamp_min(0)
    at_start = cycles.gather(1, block_start)
    at_previous = cycles.gather(1, (block_start - BLOCK_SAMPLES).clamp_min(0))
    bend = wrapped(at_start - at_previous)
    running = cycles[:, 1:] - at_start + bend * (1 - into_block / BLOCK_SAMPLES)
    return running - running.floor()


def wrapped(cycles: Tensor) -> Tensor:
    """Wrap phases to -0.5 to 0.5 cycles."""
    return cycles - cycles.round()


def pulses(pitch_hz: Tensor, first_sample: Tensor) -> Tensor:
    """Pitch at each step (batch, steps), float64, 0 where unvoiced -> (batch, steps * 240) float32.

    Closed form of the sum of cosines below 11.5 kHz: sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2.
    """
    voiced = pitch_hz > 0
    sample_hz = _between(torch.where(voiced, pitch_hz, UNVOICED_HZ))
    angle = 2 * math.pi * phases(sample_hz, first_sample)
    harmonics = (HIGHEST_HARMONIC_HZ / sample_hz).floor()
    half = (angle / 2).sin()
    at_peak = half.abs() < 1e-3
    train = ((harmonics + 0.5) * angle).sin() / torch.where(at_peak, 1.0, 2 * half) - 0.5
    train = torch.where(at_peak, harmonics, train) * sample_hz.sqrt() * LOUDNESS
    return (train * (_between(voiced.double()) > 0.5)).float()


def _between(steps: Tensor) -> Tensor:
    """Interpolate steps (batch, steps) linearly; each is at the middle of its 240 samples."""
    joined = functional.interpolate(
        steps.unsqueeze(1), scale_factor=STEP_SAMPLES, mode="linear", align_corners=False
    )
    return joined.squeeze(1)
