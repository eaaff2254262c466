"""The encoder of the built-in codec: 24 kHz audio to 50 codes a second."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from app.audio.samples import Samples
from app.codec import Codes
from app.codec.fsq import DIGITS, LEVELS
from app.codec.fsq_tensors import digits_to_codes
from training.networks.convnext import ConvNeXtBlock

WEIGHTS = Path(__file__).parent / "weights" / "codec_encoder.safetensors"
SAMPLE_RATE_HZ = 24_000
FFT_SAMPLES = 1024
HOP_SAMPLES = 240
FRAME_SAMPLES = 480
MEL_BANDS = 80
CHANNELS = 160
HALF_RANGE = (LEVELS - 1) * 1.001 / 2
QUIETEST = 1e-4  # minimum magnitude of a mel band before the logarithm


def mel_filterbank(bands: int = MEL_BANDS, fft_samples: int = FFT_SAMPLES) -> Tensor:
    """Triangular filters on the mel scale, 0 Hz to 12 kHz: (FFT bins, bands).

    mel = 2595 log10(1 + f / 700).
    """
    top_mel = 2595 * math.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    corner_hz = 700 * (10 ** (np.linspace(0, top_mel, bands + 2) / 2595) - 1)
    bin_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, fft_samples // 2 + 1)[:, None]
    low = corner_hz[:-2]
    middle = corner_hz[1:-1]
    high = corner_hz[2:]
    triangles = np.minimum((bin_hz - low) / (middle - low), (high - bin_hz) / (high - middle))
    return torch.as_tensor(triangles.clip(0).astype(np.float32))


class LogMel(nn.Module):
    """Log-mel spectrogram; step i is centred on sample 240 i + 120."""

    window: Tensor
    filterbank: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FFT_SAMPLES), persistent=False)
        self.register_buffer("filterbank", mel_filterbank(), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, samples) -> (batch, samples / 240, 80)."""
        side = (FFT_SAMPLES - HOP_SAMPLES) // 2
        padded = functional.pad(samples, (side, side))
        spectrum = torch.stft(
            padded, FFT_SAMPLES, HOP_SAMPLES, window=self.window, center=False, return_complex=True
        ).abs()
        return (spectrum.transpose(1, 2) @ self.filterbank).clamp_min(QUIETEST).log()


class Encoder(nn.Module):
    """Two log-mel steps per frame, four ConvNeXt blocks, eight quantised values."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()
        self.embed = nn.Linear(2 * MEL_BANDS, CHANNELS)
        self.blocks = nn.Sequential(
            *(ConvNeXtBlock(CHANNELS, 3 * CHANNELS, look_ahead=3) for _ in range(4))
        )
        self.norm = nn.LayerNorm(CHANNELS)
        self.head = nn.Linear(CHANNELS, DIGITS)

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, frames * 480) -> digits (batch, frames, 8)."""
        return self.levels(samples).round().long() + LEVELS // 2

    def levels(self, samples: Tensor) -> Tensor:
        """(batch, frames * 480) -> values before rounding (batch, frames, 8), within -2 to 1.

        The bound is that of FSQ for an even number of levels.
        """
        mel = self.mel(samples)
        batch, steps, bands = mel.shape
        pairs = mel.reshape(batch, steps // 2, 2 * bands)
        stacked = (pairs + 4) / 3  # roughly zero mean and unit variance
        latent = self.head(self.norm(self.blocks(self.embed(stacked)))).float()
        return torch.tanh(latent + math.atanh(0.5 / HALF_RANGE)) * HALF_RANGE - 0.5


class BuiltinEncoder:
    """The encoder on the CPU, in float32."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @torch.inference_mode()
    def encode(self, samples: Samples) -> Codes:
        """Mono 24 kHz samples -> codes (frames, 1); the last frame is padded with silence."""
        padded = np.pad(samples, (0, -len(samples) % FRAME_SAMPLES))
        digits = self._encoder(torch.as_tensor(padded).unsqueeze(0))
        return digits_to_codes(digits[0]).int().numpy()[:, None]


def load_builtin_encoder() -> BuiltinEncoder:
    """Load the trained encoder of training/weights."""
    encoder = Encoder()
    encoder.load_state_dict(load(WEIGHTS.read_bytes()))
    return BuiltinEncoder(encoder.float().eval())
