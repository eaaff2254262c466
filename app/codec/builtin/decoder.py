"""Decoder of the built-in codec: codes to pitch and envelopes, which filter pulses and noise.

A harmonic-plus-noise vocoder, as in Neural Source-Filter models (Wang et al. 2019,
arXiv:1904.12088), with minimum-phase filters from the cepstra of the envelopes (Oppenheim and
Schafer). The networks do not predict phases. Voices sound less rough than from an inverse
transform of predicted phases. `training/networks/codec_decoder.py` is the same decoder in torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from app.codec.builtin.pulses import STEP_SAMPLES, pulses
from app.codec.fsq import codes_to_digits, digits_to_values
from app.codec.padded_batch import PaddedBatch
from app.onnx_network import OnnxNetwork

FFT_SAMPLES = 960
STEPS_PER_FRAME = 2
FRAME_SAMPLES = STEPS_PER_FRAME * STEP_SAMPLES
NOISE_STEPS = 512  # period of the noise: 5.12 s

Floats = NDArray[np.float32]
Spectra = NDArray[np.complex64]


class Decoder:
    """Codes to samples. The pitch is float64, because its errors accumulate in the phase."""

    def __init__(self, folder: Path) -> None:
        """Read the networks.

        `codec_pitch.onnx`: digit values (batch, frames, 8) and the mask of real frames, both
        float64, to the pitch in Hz (batch, frames * 2), 0 where unvoiced. `codec_filters.onnx`: the
        same in float32 to spectra (batch, frames * 2, 481): real and imaginary part of the filter
        of the pulses, and the gain of the noise.
        """
        self._pitch = OnnxNetwork(folder / "codec_pitch.onnx")
        self._filters = OnnxNetwork(folder / "codec_filters.onnx")
        turns = np.arange(FFT_SAMPLES) / FFT_SAMPLES
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * turns)).astype(np.float32)
        self._noise = self._spectrum(noise_samples()[None])[0]

    def decode(self, batch: PaddedBatch) -> Floats:
        """Decode to samples (rows, frames * 480); the rows do not affect each other."""
        values = digits_to_values(codes_to_digits(batch.codes[..., 0]))
        valid = batch.valid
        source = pulses(self._predict_pitch(values, valid), batch.first_frames * FRAME_SAMPLES)
        source *= np.repeat(valid, FRAME_SAMPLES, axis=1)
        filters = self._filters(values=values, valid=valid.astype(np.float32))
        real, imaginary, noise_gain = cast("list[Floats]", filters)
        spectrum = self._spectrum(source) * (real + 1j * imaginary)
        steps = np.arange(noise_gain.shape[1], dtype=np.int64)
        steps = steps + STEPS_PER_FRAME * batch.first_frames[:, None]
        spectrum += self._noise[steps % NOISE_STEPS] * noise_gain
        return self._overlap_add(spectrum, np.repeat(valid, STEPS_PER_FRAME, axis=1))

    def _predict_pitch(self, values: Floats, valid: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the pitch in Hz (rows, steps); the padding repeats the last pitch of its row."""
        (outputs,) = self._pitch(values=values.astype(np.float64), valid=valid.astype(np.float64))
        pitch_hz = cast("NDArray[np.float64]", outputs)
        last = STEPS_PER_FRAME * valid.sum(1, keepdims=True) - 1
        steps = np.minimum(np.arange(pitch_hz.shape[1], dtype=np.int64), last)
        return np.take_along_axis(pitch_hz, steps, axis=1)

    def _spectrum(self, samples: Floats) -> Spectra:
        """(rows, steps * 240) -> (rows, steps, 481); step i is centred on sample 240 i + 120."""
        side = (FFT_SAMPLES - STEP_SAMPLES) // 2
        padded = np.pad(samples, ((0, 0), (side, side)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES, axis=1)
        return cast("Spectra", np.fft.rfft(windows[:, ::STEP_SAMPLES] * self._window))

    def _overlap_add(self, spectrum: Spectra, real: NDArray[np.bool_]) -> Floats:
        """Overlap-add windowed inverse transforms; divide by the window sum of the real steps."""
        window = self._window * real[..., None]
        waves = cast("Floats", np.fft.irfft(spectrum, FFT_SAMPLES))
        envelope = _overlap_add(self._window * window)
        np.maximum(envelope, 1e-3, out=envelope)
        return _overlap_add(waves * window) / envelope


def _overlap_add(waves: Floats) -> Floats:
    """(rows, steps, 960) -> (rows, steps * 240); step i is centred on sample 240 i + 120."""
    rows, steps, width = waves.shape
    parts = width // STEP_SAMPLES
    total = np.zeros((rows, steps + parts - 1, STEP_SAMPLES), np.float32)
    for part in range(parts):
        total[:, part : part + steps] += waves[..., part * STEP_SAMPLES : (part + 1) * STEP_SAMPLES]
    cut = (width - STEP_SAMPLES) // 2
    return total.reshape(rows, -1)[:, cut : cut + steps * STEP_SAMPLES]


def noise_samples() -> Floats:
    """White noise of unit power with a fixed seed: (512 * 240,)."""
    return np.random.default_rng(0).standard_normal(NOISE_STEPS * STEP_SAMPLES, np.float32)
