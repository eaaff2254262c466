"""Pulse train of the built-in codec: the harmonics of a pitch in phase, without state.

The phase of a pitch is its integral since the start of the voice, which a decoder that starts in
the middle of a stream cannot know. Here it is tied to the time of the stream, in blocks of half a
second. Let C be the integral, in cycles, and T the start of the current block. At T the phase is
C(T) - C(T - block); at the end of the block it is C - C(T). The difference, at most half a cycle,
is spread evenly over the block. This bends the pitch by at most 1 Hz, which is inaudible, and the
phase depends on two blocks of pitch only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 24_000
STEP_SAMPLES = 240
BLOCK_SAMPLES = 12_000
HIGHEST_HARMONIC_HZ = 11_500
UNVOICED_HZ = 120.0  # pitch at which the phase advances in unvoiced steps
LOUDNESS = 1 / 60  # gain, times the square root of the pitch: equal power at any pitch

Doubles = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]


def phases(pitch_hz: Doubles, first_sample: Integers) -> Doubles:
    """Compute phases in cycles, 0 to 1.

    Args:
        pitch_hz: pitch at each sample (batch, samples).
        first_sample: position of each row in its stream (batch,). Phases in the first two blocks of
            a row are correct only if its stream begins there.
    """
    cycles = np.zeros((pitch_hz.shape[0], pitch_hz.shape[1] + 1))
    np.cumsum(pitch_hz / SAMPLE_RATE_HZ, axis=1, out=cycles[:, 1:])
    own = np.arange(1, cycles.shape[1])
    into_block = (first_sample[:, None] + own) % BLOCK_SAMPLES
    block_start = np.maximum(own - into_block, 0)
    previous_start = np.maximum(block_start - BLOCK_SAMPLES, 0)
    at_start = np.take_along_axis(cycles, block_start, axis=1)
    bend = wrapped(at_start - np.take_along_axis(cycles, previous_start, axis=1))
    running = cycles[:, 1:] - at_start + bend * (1 - into_block / BLOCK_SAMPLES)
    return running - np.floor(running)


def wrapped(cycles: Doubles) -> Doubles:
    """Wrap phases to -0.5 to 0.5 cycles."""
    return cycles - np.round(cycles)


def pulses(pitch_hz: Doubles, first_sample: Integers) -> NDArray[np.float32]:
    """Pitch at each step (batch, steps), 0 where unvoiced -> (batch, steps * 240).

    Closed form of the sum of cosines below 11.5 kHz: sin((H + 1/2) t) / (2 sin(t / 2)) - 1/2.
    """
    voiced = pitch_hz > 0
    sample_hz = _interpolate(np.where(voiced, pitch_hz, UNVOICED_HZ))
    angle = 2 * math.pi * phases(sample_hz, first_sample)
    harmonics = np.floor(HIGHEST_HARMONIC_HZ / sample_hz)
    half = np.sin(angle / 2)
    at_peak = np.abs(half) < 1e-3
    train = np.sin((harmonics + 0.5) * angle) / np.where(at_peak, 1.0, 2 * half) - 0.5
    train = np.where(at_peak, harmonics, train) * np.sqrt(sample_hz) * LOUDNESS
    return (train * (_interpolate(voiced.astype(float)) > 0.5)).astype(np.float32)


def _interpolate(steps: Doubles) -> Doubles:
    """Interpolate steps (batch, steps) linearly; each is at the middle of its 240 samples."""
    held = np.pad(steps, ((0, 0), (1, 1)), mode="edge")[..., None]
    share = (np.arange(STEP_SAMPLES) + 0.5) / STEP_SAMPLES
    joined = held[:, :-1] * (1 - share) + held[:, 1:] * share
    half = STEP_SAMPLES // 2
    return joined.reshape(len(steps), -1)[:, half:-half]
