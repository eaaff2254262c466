"""Voices made of the teacher's: its spectra with another pitch and the formants moved.

The teacher's network gives magnitudes, phases and pitch apart, in frames of 12.5 ms, before its synthesiser
turns them into sound; so a voice can be changed there without the artefacts of changing sound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 601
BIN_HZ = 20.0
UNVOICED_BELOW_HZ = 40.0  # as in the teacher's synthesiser
HIGHEST_HARMONIC_HZ = 11_000.0

Spectra = NDArray[np.float32]  # (601 bins, frames)


@dataclass(frozen=True, slots=True)
class Timbre:
    """Factors on the teacher's pitch and formants."""

    pitch: float = 1.0
    formants: float = 1.0


@dataclass(frozen=True, slots=True)
class Frames:
    """What the teacher's synthesiser takes; logarithmic magnitudes, phase before its tanh, pitch in Hz.

    Sound is the sum of harmonics (`harmonic`, `turn`), noise, and a part with phases of its own
    (`rest`, `rest_phase`).
    """

    harmonic: Spectra
    turn: Spectra
    noise: Spectra
    rest: Spectra
    rest_phase: Spectra
    pitch_hz: NDArray[np.float32]


def changed(frames: Frames, timbre: Timbre) -> Frames:
    """The same speech in another voice.

    Between the harmonics of its own pitch the teacher's magnitudes mean nothing, so they are drawn anew
    through the harmonics before a lower pitch is put under them. Fewer or more harmonics share the power.
    """
    if timbre == Timbre():
        return frames
    power = np.float32(0.5 * np.log(timbre.pitch))
    angle = through_harmonics(np.tanh(frames.turn), frames.pitch_hz).clip(-0.999, 0.999)
    return Frames(
        stretched(through_harmonics(frames.harmonic, frames.pitch_hz), timbre.formants) + power,
        stretched(np.arctanh(angle), timbre.formants),
        stretched(frames.noise, timbre.formants),
        frames.rest[_sources(timbre.formants).astype(int)],
        frames.rest_phase[_sources(timbre.formants).astype(int)],
        frames.pitch_hz * np.float32(timbre.pitch),
    )


def through_harmonics(values: Spectra, pitch_hz: NDArray[np.float32]) -> Spectra:
    """Values at the harmonics of each voiced frame, joined by straight lines; others stay."""
    drawn = values.copy()
    for frame in np.flatnonzero(pitch_hz > UNVOICED_BELOW_HZ):
        count = int(HIGHEST_HARMONIC_HZ / pitch_hz[frame])
        harmonics = np.arange(1, count + 1) * (pitch_hz[frame] / BIN_HZ)
        at_harmonics = np.interp(harmonics, np.arange(BINS), values[:, frame])
        drawn[:, frame] = np.interp(np.arange(BINS), harmonics, at_harmonics)
    return drawn


def stretched(values: Spectra, factor: float) -> Spectra:
    """Values moved from each frequency to `factor` times it."""
    sources = _sources(factor)
    below = sources.astype(int)
    share = (sources - below).astype(np.float32)[:, None]
    return values[below] * (1 - share) + values[np.minimum(below + 1, BINS - 1)] * share


def _sources(factor: float) -> NDArray[np.float64]:
    return np.minimum(np.arange(BINS) / factor, BINS - 1)
