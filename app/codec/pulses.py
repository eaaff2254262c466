"""The built-in codec's pulses: every harmonic of a voice's pitch, in phase, with no state between windows.

The phase of a pitch is its integral since it began, so a decoder that starts in the middle cannot know it.
Here it is pinned to the stream's own time, in blocks of half a second. Let C be the integral, in cycles,
and T the start of the present block. At T the phase is C(T) - C(T - block); at the end of the block it
is C - C(T), and the difference, at most half a cycle, is spread evenly over the block. That bends the
pitch by at most 1 Hz, unheard, and makes the phase a function of two blocks of pitch and of nothing before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

SAMPLE_RATE_HZ = 24_000
STEP_SAMPLES = 240
BLOCK_SAMPLES = 12_000
BLOCK_FRAMES = 25
HIGHEST_HARMONIC_HZ = 11_500
UNVOICED_HZ = 120.0  # what the phase runs on through breath
LOUDNESS = 1 / 60  # times the square root of the pitch: the same power at any pitch


def phases(pitch_hz: Tensor, first_sample: Tensor) -> Tensor:
    """Pitch at each sample (batch, samples), float64, and each row's first place in its stream (batch,).

    Returns phases in cycles, 0 to 1, float64. The first two blocks of a row are only right if its stream begins there.
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
    """The same phase within half a cycle of 0."""
    return cycles - cycles.round()


def pulses(pitch_hz: Tensor, first_sample: Tensor) -> Tensor:
    """Pitch at each step (batch, steps), float64, 0 where unvoiced -> (batch, steps * 240) samples, float32.

    The closed form of a sum of cosines below 11.5 kHz: sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2.
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
    """Steps (batch, steps), each at the middle of its 240 samples, joined by straight lines."""
    joined = functional.interpolate(
        steps.unsqueeze(1), scale_factor=STEP_SAMPLES, mode="linear", align_corners=False
    )
    return joined.squeeze(1)
