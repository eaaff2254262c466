"""Audible defects in the samples: clicks, and silence within speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

BLOCK_S = 0.005
MIN_STEP = 0.02  # of full scale: -34 dB
STEP_FACTOR = 4.0  # times the greatest jump of the 5 ms on either side
FRAME_S = 0.01
SILENT = 0.001  # of full scale: -60 dB
LONG_SILENCE_S = 1.0


def steps(samples: Samples, rate_hz: int) -> NDArray[np.int64]:
    """Return the indexes of samples that differ too much from the previous sample.

    The jump exceeds MIN_STEP and is STEP_FACTOR times as large as the jumps around it. Speech and
    noise also change fast, but then the neighbouring jumps are large too. At most one step is found
    within 5 ms.
    """
    size = round(rate_hz * BLOCK_S)
    jumps = np.abs(np.diff(samples))
    padded = np.zeros(-(-len(jumps) // size) * size, np.float32)
    padded[: len(jumps)] = jumps
    blocks = padded.reshape(-1, size)
    second, first = np.partition(blocks, size - 2, axis=1)[:, -2:].T
    beside = np.zeros(len(first) + 2, np.float32)
    beside[1:-1] = first
    around = np.maximum(second, np.maximum(beside[:-2], beside[2:]))
    found = np.flatnonzero((first > MIN_STEP) & (first > STEP_FACTOR * around))
    return found * size + blocks[found].argmax(axis=1) + 1


def at_joins(found: NDArray[np.int64], joins: NDArray[np.int64]) -> int:
    """Count the steps at the boundary of two chunks."""
    return int(np.isin(found, joins).sum())


def is_silent(samples: Samples) -> bool:
    """Return True if no sample is above -60 dB of full scale."""
    return not len(samples) or float(np.abs(samples).max()) < SILENT


def silences_s(samples: Samples, rate_hz: int) -> list[float]:
    """Return the lengths of silences over 1 s, in steps of 10 ms.

    Silence before the first sound and after the last one does not count.
    """
    size = round(rate_hz * FRAME_S)
    frames = np.abs(samples[: len(samples) // size * size]).reshape(-1, size)
    audible = np.flatnonzero(frames.max(axis=1) >= SILENT) if len(frames) else np.zeros(0, np.int64)
    lengths_s = (np.diff(audible) - 1) * size / rate_hz
    return [float(length_s) for length_s in lengths_s if length_s > LONG_SILENCE_S]
