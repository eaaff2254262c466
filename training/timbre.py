"""Derive voices from the teacher's: its spectra with another pitch and shifted formants.

The teacher's network predicts magnitudes, phases and pitch separately, in frames of 12.5 ms. Its
synthesiser turns them into audio. A change before the synthesis avoids the artefacts of changing
the audio itself.
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
    """Factors for the teacher's pitch and formants."""

    pitch: float = 1.0
    formants: float = 1.0


@dataclass(frozen=True, slots=True)
class Frames:
    """Inputs of the teacher's synthesiser: log magnitudes, phases before their tanh, pitch in Hz.

    The audio is the sum of harmonics (`harmonic`, `turn`), noise, and a part with its own phases
    (`rest`, `rest_phase`).
    """

    harmonic: Spectra
    turn: Spectra
    noise: Spectra
    rest: Spectra
    rest_phase: Spectra
    pitch_hz: NDArray[np.float32]


def change_timbre(frames: Frames, timbre: Timbre) -> Frames:
    """Return the same speech in another voice.

    The teacher's magnitudes are meaningless between the harmonics of its pitch. They are therefore
    interpolated between the harmonics before the pitch changes. The total power stays the same with
    more or fewer harmonics.
    """
    if timbre == Timbre():
        return frames
    power = np.float32(0.5 * np.log(timbre.pitch))
    angle = through_harmonics(np.tanh(frames.turn), frames.pitch_hz).clip(-0.999, 0.999)
    return Frames(
        shift_formants(through_harmonics(frames.harmonic, frames.pitch_hz), timbre.formants)
        + power,
        shift_formants(np.arctanh(angle), timbre.formants),
        shift_formants(frames.noise, timbre.formants),
        frames.rest[_sources(timbre.formants).astype(int)],
        frames.rest_phase[_sources(timbre.formants).astype(int)],
        frames.pitch_hz * np.float32(timbre.pitch),
    )


def through_harmonics(values: Spectra, pitch_hz: NDArray[np.float32]) -> Spectra:
    """Interpolate linearly between the harmonics of each voiced frame. Other frames stay."""
    drawn = values.copy()
    for frame in np.flatnonzero(pitch_hz > UNVOICED_BELOW_HZ):
        count = int(HIGHEST_HARMONIC_HZ / pitch_hz[frame])
        harmonics = np.arange(1, count + 1) * (pitch_hz[frame] / BIN_HZ)
        at_harmonics = np.interp(harmonics, np.arange(BINS), values[:, frame])
        drawn[:, frame] = np.interp(np.arange(BINS), harmonics, at_harmonics)
    return drawn


def shift_formants(values: Spectra, factor: float) -> Spectra:
    """Move the values at each frequency to `factor` times that frequency."""
    sources = _sources(factor)
    below = sources.astype(int)
    share = (sources - below).astype(np.float32)[:, None]
    return values[below] * (1 - share) + values[np.minimum(below + 1, BINS - 1)] * share


def _sources(factor: float) -> NDArray[np.float64]:
    return np.minimum(np.arange(BINS) / factor, BINS - 1)
