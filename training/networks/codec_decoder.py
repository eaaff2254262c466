# pyright: reportUnknownMemberType=false
"""Decoder of the built-in codec in torch: pitch and envelopes that filter pulses and noise.

A harmonic-plus-noise vocoder, as in Neural Source-Filter models (Wang et al. 2019,
arXiv:1904.12088), with minimum-phase filters from the cepstra of the envelopes (Oppenheim and
Schafer). The network does not predict phases. Voices sound less rough than from an inverse
transform of predicted phases. The service loads `app/codec/builtin/decoder.py`, the same decoder
without torch.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from torch import Tensor, nn
from torch.nn import functional

from app.codec.builtin.decoder import (
    FFT_SAMPLES,
    FRAME_SAMPLES,
    NOISE_STEPS,
    STEPS_PER_FRAME,
    noise_samples,
)
from app.codec.builtin.load import SPEC
from app.codec.builtin.pulses import STEP_SAMPLES
from app.codec.eager import EagerCodec
from app.codec.fsq import DIGITS
from app.codec.fsq_tensors import codes_to_digits, digits_to_values
from app.codec.overlap_add import overlap_add
from training.networks.convnext import ConvNeXtBlock
from training.networks.pulses import pulses

BINS = FFT_SAMPLES // 2 + 1
BANDS = 80
CHANNELS = 192
PITCH_CHANNELS = 128
MAX_LOG_HARMONIC = 4.0  # maximum log magnitude of the envelope of the pulses
MAX_LOG_NOISE = 5.0  # maximum log magnitude of the envelope of the noise
# Offset and scale of the network's output for the logarithm of the pitch in Hz.
MIDDLE_PITCH = 5.1
PITCH_SPREAD = 0.5


class Envelopes(NamedTuple):
    """Logarithms of two envelopes at 80 points on the mel scale: (batch, steps, 80) each."""

    harmonic: Tensor
    noise: Tensor


class FrameNetwork(nn.Module):
    """Digit values of codes to outputs of each step: ConvNeXt blocks at 50 Hz, then at 100 Hz.

    The first block has a look-ahead of two frames; the others are causal.
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
        """(batch, frames, 8) and the mask of real frames -> (batch, frames * 2, outputs).

        The padding does not affect a row: only the first block looks ahead, and its input is zero
        in the padding, as after the end of a signal.
        """
        hidden = self.frame_blocks(self.embed(values) * valid.unsqueeze(-1))
        hidden = self.upsample(hidden).unflatten(-1, (STEPS_PER_FRAME, -1)).flatten(1, 2)
        return self.head(self.norm(self.step_blocks(hidden)))


class Decoder(nn.Module):
    """Codes to samples. The pitch is float64, because its errors accumulate in the phase."""

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
        self.register_buffer("noise", self._noise_spectrum(), persistent=False)

    def _noise_spectrum(self) -> Tensor:
        return self.spectrum(torch.as_tensor(noise_samples()).unsqueeze(0)).squeeze(0)

    def forward(self, codes: Tensor, valid: Tensor, first_frame: Tensor) -> Tensor:
        """Decode to samples (batch, frames * 480).

        Args:
            codes: (batch, frames).
            valid: mask of the real codes (batch, frames).
            first_frame: position of each row in its stream (batch,).
        """
        values = digits_to_values(codes_to_digits(codes))
        pitch_hz = self.predict_pitch(values, valid)
        own_steps = torch.arange(pitch_hz.shape[1], device=codes.device)
        steps = own_steps + STEPS_PER_FRAME * first_frame.unsqueeze(1)
        noise = self.noise[steps % NOISE_STEPS]
        envelopes = self.predict_envelopes(values, valid)
        return self.synthesise(envelopes, valid, pitch_hz, first_frame * FRAME_SAMPLES, noise)

    def predict_pitch(self, values: Tensor, valid: Tensor) -> Tensor:
        """Digit values (batch, frames, 8) -> pitch in Hz (batch, steps), 0 where unvoiced.

        The padding repeats the last pitch of its row.
        """
        outputs = self.pitch(values.to(self.pitch.head.weight.dtype), valid)
        logarithm, voicing = split_pitch_outputs(outputs)
        pitch_hz = torch.where(voicing > 0, logarithm.exp(), 0)
        last = STEPS_PER_FRAME * valid.sum(1, keepdim=True) - 1
        return pitch_hz.gather(1, torch.arange(pitch_hz.shape[1], device=last.device).minimum(last))

    def predict_envelopes(self, values: Tensor, valid: Tensor) -> Envelopes:
        """Digit values (batch, frames, 8) -> the envelopes of pulses and noise."""
        harmonic, noise = self.envelopes(values, valid).float().chunk(2, -1)
        return Envelopes((harmonic - 3).clamp(max=MAX_LOG_HARMONIC), noise - 4)

    def synthesise(
        self,
        envelopes: Envelopes,
        valid: Tensor,
        pitch_hz: Tensor,
        first_sample: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """Filter pulses at a pitch, and noise, with the envelopes.

        `noise`: its spectrum (batch, steps, 481).
        """
        real = valid.repeat_interleave(STEPS_PER_FRAME, dim=1)
        real_samples = real.repeat_interleave(STEP_SAMPLES, dim=1)
        source = pulses(pitch_hz.double(), first_sample) * real_samples
        voice = self.minimum_phase(envelopes.harmonic @ self.bands)
        aspiration = (envelopes.noise @ self.bands).clamp(max=MAX_LOG_NOISE).exp()
        return self._overlap_add(self.spectrum(source) * voice + noise * aspiration, real)

    def minimum_phase(self, log_magnitude: Tensor) -> Tensor:
        """(..., 481) -> the complex spectrum of the minimum-phase filter with these magnitudes."""
        cepstrum = cast(Tensor, torch.fft.irfft(log_magnitude, FFT_SAMPLES)) * self.fold
        spectrum = cast(Tensor, torch.fft.rfft(cepstrum))
        return torch.polar(spectrum.real.exp(), spectrum.imag)

    def spectrum(self, samples: Tensor) -> Tensor:
        """(batch, steps * 240) -> (batch, steps, 481); step i is centred on sample 240 i + 120."""
        side = (FFT_SAMPLES - STEP_SAMPLES) // 2
        padded = functional.pad(samples, (side, side))
        return torch.stft(
            padded, FFT_SAMPLES, STEP_SAMPLES, window=self.window, center=False, return_complex=True
        ).transpose(1, 2)

    def _overlap_add(self, spectrum: Tensor, real: Tensor) -> Tensor:
        """Overlap-add windowed inverse transforms; divide by the window sum of the real steps."""
        window = self.window * real.unsqueeze(-1)
        steps = cast(Tensor, torch.fft.irfft(spectrum, FFT_SAMPLES))
        envelope = overlap_add(self.window * window, STEP_SAMPLES)
        return overlap_add(steps * window, STEP_SAMPLES) / envelope.clamp_min(1e-3)


def split_pitch_outputs(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs of the pitch network (..., 2) -> logarithm of the pitch in Hz, and voicing.

    Voicing is above 0 where voiced.
    """
    return MIDDLE_PITCH + PITCH_SPREAD * outputs[..., 0], outputs[..., 1]


def band_interpolation(bins: int = BINS) -> Tensor:
    """Matrix (80, bins) that interpolates linearly from 80 points on the mel scale to the bins."""
    top_mel = 2595 * math.log10(1 + 12_000 / 700)
    place = 2595 * np.log10(1 + np.linspace(0, 12_000, bins) / 700) / top_mel * (BANDS - 1)
    below = place.astype(int).clip(0, BANDS - 2)
    matrix = np.zeros((BANDS, bins), np.float32)
    matrix[below, np.arange(bins)] = 1 - (place - below)
    matrix[below + 1, np.arange(bins)] = place - below
    return torch.as_tensor(matrix)


def minimum_phase_fold() -> Tensor:
    """Weights (960,) that fold a real cepstrum onto its causal half."""
    fold = torch.zeros(FFT_SAMPLES)
    fold[0] = fold[FFT_SAMPLES // 2] = 1
    fold[1 : FFT_SAMPLES // 2] = 2
    return fold


def read_decoder(weights: bytes) -> Decoder:
    """Read a decoder from the bytes of a safetensors file, into float32."""
    decoder = Decoder()
    decoder.load_state_dict(load_tensors(weights))
    return decoder.float()


def torch_codec(decoder: Decoder) -> EagerCodec:
    """Make a codec of a decoder on the CPU, in float32 (the pitch in float64)."""
    decoder.eval().requires_grad_(False)
    decoder.pitch.double()

    def network(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        codes = codes[..., 0]
        lengths = torch.ones_like(first_frames) * codes.shape[1] if frames is None else frames
        return decoder(codes, lengths.unsqueeze(1) > torch.arange(codes.shape[1]), first_frames)

    return EagerCodec(SPEC, network, "cpu")
