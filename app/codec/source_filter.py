"""The built-in codec's decoder: codes to pitch and spectral envelopes, then pulses and noise through them.

A harmonic-plus-noise vocoder, as in Neural Source-Filter models (Wang et al. 2019, arXiv:1904.12088), with
minimum-phase filters from the envelopes' cepstra (Oppenheim and Schafer). Phases that a network need not
predict cannot be predicted wrong: voices sound less rough than from an inverse transform of predicted phases.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.codec.convnext import ConvNeXtBlock
from app.codec.fsq import DIGITS, digits_of, values_of
from app.codec.overlap import overlap_add
from app.codec.pulses import STEP_SAMPLES, pulses

FFT_SAMPLES = 960
BINS = FFT_SAMPLES // 2 + 1
STEPS_PER_FRAME = 2
FRAME_SAMPLES = STEPS_PER_FRAME * STEP_SAMPLES
BANDS = 80
CHANNELS = 192
PITCH_CHANNELS = 128
LOUDEST_HARMONIC, LOUDEST_NOISE = 4.0, 5.0  # of the logarithms
MIDDLE_PITCH, PITCH_SPREAD = 5.1, 0.5  # of the logarithm of Hz, for the network's sake
NOISE_STEPS = 512  # after which the noise repeats: 5.12 s


class Levels(NamedTuple):
    """Logarithms of two envelopes at points even on the mel scale: (batch, steps, 80) each."""

    harmonic: Tensor
    breath: Tensor


class FrameNetwork(nn.Module):
    """Codes' numbers to numbers of each step: ConvNeXt blocks at 50 Hz, then at 100 Hz.

    The first block sees two frames ahead; the others are causal.
    """

    def __init__(self, channels: int, frame_blocks: int, step_blocks: int, outputs: int) -> None:
        super().__init__()
        wide = 3 * channels
        self.embed = nn.Linear(DIGITS, channels)
        self.frame_blocks = nn.Sequential(
            ConvNeXtBlock(channels, wide, look_ahead=2),
            *(ConvNeXtBlock(channels, wide) for _ in range(frame_blocks - 1)),
        )
        self.upsample = nn.Linear(channels, STEPS_PER_FRAME * channels)
        self.step_blocks = nn.Sequential(
            *(ConvNeXtBlock(channels, wide) for _ in range(step_blocks))
        )
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, outputs)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """(batch, frames, 8) and which frames are real -> (batch, frames * 2, outputs).

        What lies behind a row's own codes never reaches it: only the first block looks ahead, so its
        input is zeroed there, as the end of the signal is.
        """
        hidden = self.frame_blocks(self.embed(values) * valid.unsqueeze(-1))
        hidden = self.upsample(hidden).unflatten(-1, (STEPS_PER_FRAME, -1)).flatten(1, 2)
        return self.head(self.norm(self.step_blocks(hidden)))


class Decoder(nn.Module):
    """Codes to sound. The pitch is computed in double precision, for its errors add up in the phase."""

    window: Tensor
    bands: Tensor
    fold: Tensor
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.envelopes = FrameNetwork(CHANNELS, frame_blocks=5, step_blocks=2, outputs=2 * BANDS)
        self.pitch = FrameNetwork(PITCH_CHANNELS, frame_blocks=4, step_blocks=1, outputs=2)
        self.register_buffer("window", torch.hann_window(FFT_SAMPLES), persistent=False)
        self.register_buffer("bands", band_interpolation(), persistent=False)
        self.register_buffer("fold", minimum_phase_fold(), persistent=False)
        self.register_buffer("noise", self.spectrum(noise_samples()).squeeze(0), persistent=False)

    def forward(self, codes: Tensor, valid: Tensor, first_frame: Tensor) -> Tensor:
        """Codes (batch, frames), which of them are real, and the rows' places in their streams (batch,).

        Returns samples (batch, frames * 480).
        """
        values = values_of(digits_of(codes))
        pitch_hz = self.pitch_of(values, valid)
        steps = torch.arange(
            pitch_hz.shape[1], device=codes.device
        ) + STEPS_PER_FRAME * first_frame.unsqueeze(1)
        noise = self.noise[steps % NOISE_STEPS]
        return self.sound(
            self.levels(values, valid), valid, pitch_hz, first_frame * FRAME_SAMPLES, noise
        )

    def pitch_of(self, values: Tensor, valid: Tensor) -> Tensor:
        """Numbers of codes (batch, frames, 8) -> pitch in Hz (batch, steps), 0 where unvoiced.

        Behind a row's own codes its last pitch goes on, as if nothing came there.
        """
        logarithm, voicing = pitch_numbers(
            self.pitch(values.to(self.pitch.head.weight.dtype), valid)
        )
        pitch_hz = torch.where(voicing > 0, logarithm.exp(), 0)
        last = STEPS_PER_FRAME * valid.sum(1, keepdim=True) - 1
        return pitch_hz.gather(1, torch.arange(pitch_hz.shape[1], device=last.device).minimum(last))

    def levels(self, values: Tensor, valid: Tensor) -> Levels:
        """Numbers of codes (batch, frames, 8) -> the envelopes of pulses and noise."""
        harmonic, breath = self.envelopes(values, valid).float().chunk(2, -1)
        return Levels((harmonic - 3).clamp(max=LOUDEST_HARMONIC), breath - 4)

    def sound(
        self, levels: Levels, valid: Tensor, pitch_hz: Tensor, first_sample: Tensor, noise: Tensor
    ) -> Tensor:
        """Pulses at a pitch, and noise (its spectrum, (batch, steps, 481)), through envelopes."""
        real = valid.repeat_interleave(STEPS_PER_FRAME, dim=1)
        source = pulses(pitch_hz.double(), first_sample) * real.repeat_interleave(
            STEP_SAMPLES, dim=1
        )
        voice = self.minimum_phase(levels.harmonic @ self.bands)
        spectrum = (
            self.spectrum(source) * voice
            + noise * (levels.breath @ self.bands).clamp(max=LOUDEST_NOISE).exp()
        )
        return self._synthesise(spectrum, real)

    def minimum_phase(self, log_magnitude: Tensor) -> Tensor:
        """(..., 481) -> the complex spectrum of the minimum-phase filter with these magnitudes."""
        cepstrum = cast(Tensor, torch.fft.irfft(log_magnitude, FFT_SAMPLES)) * self.fold  # pyright: ignore[reportUnknownMemberType]
        spectrum = cast(Tensor, torch.fft.rfft(cepstrum))  # pyright: ignore[reportUnknownMemberType]
        return torch.polar(spectrum.real.exp(), spectrum.imag)

    def spectrum(self, samples: Tensor) -> Tensor:
        """(batch, steps * 240) -> (batch, steps, 481), step i centred on sample 240 i + 120."""
        side = (FFT_SAMPLES - STEP_SAMPLES) // 2
        padded = functional.pad(samples, (side, side))
        return torch.stft(
            padded, FFT_SAMPLES, STEP_SAMPLES, window=self.window, center=False, return_complex=True
        ).transpose(1, 2)

    def _synthesise(self, spectrum: Tensor, real: Tensor) -> Tensor:
        """Windowed inverse transforms, overlapped, over the envelope of each row's own steps."""
        window = self.window * real.unsqueeze(-1)
        steps = cast(Tensor, torch.fft.irfft(spectrum, FFT_SAMPLES))  # pyright: ignore[reportUnknownMemberType]
        envelope = overlap_add(self.window * window, STEP_SAMPLES)
        return overlap_add(steps * window, STEP_SAMPLES) / envelope.clamp_min(1e-3)


def pitch_numbers(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """What the pitch network says (..., 2): the logarithm of the pitch in Hz, and voicing, above 0 where voiced."""
    return MIDDLE_PITCH + PITCH_SPREAD * outputs[..., 0], outputs[..., 1]


def band_interpolation(bins: int = BINS) -> Tensor:
    """(80, bins): values at points even on the mel scale, joined by straight lines over the bins."""
    top_mel = 2595 * math.log10(1 + 12_000 / 700)
    place = 2595 * np.log10(1 + np.linspace(0, 12_000, bins) / 700) / top_mel * (BANDS - 1)
    below = place.astype(int).clip(0, BANDS - 2)
    matrix = np.zeros((BANDS, bins), np.float32)
    matrix[below, np.arange(bins)] = 1 - (place - below)
    matrix[below + 1, np.arange(bins)] = place - below
    return torch.as_tensor(matrix)


def minimum_phase_fold() -> Tensor:
    """(960,): weights that fold a real cepstrum onto its causal half."""
    fold = torch.zeros(FFT_SAMPLES)
    fold[0] = fold[FFT_SAMPLES // 2] = 1
    fold[1 : FFT_SAMPLES // 2] = 2
    return fold


def noise_samples() -> Tensor:
    """(1, 512 * 240): white noise of unit power, always the same."""
    noise = np.random.default_rng(0).standard_normal(NOISE_STEPS * STEP_SAMPLES, np.float32)
    return torch.as_tensor(noise).unsqueeze(0)
