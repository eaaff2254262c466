"""Trains the codec: `python -m voices.train.codec`. Writes `codec/codec_encoder.safetensors` and `_decoder`.

Encoder and stateless decoder learn together, from the speech alone, to make the spectrum again.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from app.codec.builtin import Decoder
from app.codec.builtin_encoder import FRAME_SAMPLES, HOP_SAMPLES, Encoder, LogMel
from app.codec.fsq import LEVELS, codes_of, values_of
from voices.train.folder import add_folder
from voices.train.loop import Measured, Plan, Run, add_training, plan_of
from voices.train.utterances import SpeechSet

ROWS = 8
FRAMES = 64
RESOLUTIONS = ((2048, 512), (1024, 256), (512, 128), (256, 64))  # FFT size and hop, in samples
# A spectrogram's log distance, and its distance relative to the target's norm.
LOG_WEIGHT, RELATIVE_WEIGHT = 0.5, 0.3
MAGNITUDE_FLOOR = 1e-3


class TrainedCodec(nn.Module):
    """The service's encoder and decoder, joined so that gradients pass the rounding.

    Forwards, the decoder sees the rounded numbers; backwards, rounding counts as nothing
    (the straight-through estimate of FSQ, arXiv:2309.15505).
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self._latent = self._values = torch.empty(0)
        self.encoder.head.register_forward_hook(self._keep)
        self.decoder.embed.register_forward_pre_hook(self._pass_gradients)

    def forward(self, samples: Tensor) -> Tensor:
        """(batch, frames * 480) -> what the decoder makes of the codes, of the same length."""
        digits = self.encoder(samples)
        smooth = bound(self._latent) / (LEVELS // 2)
        self._values = smooth + (values_of(digits) - smooth).detach()
        codes = codes_of(digits)
        return self.decoder(codes, torch.ones_like(codes, dtype=torch.bool))

    def _keep(self, _head: nn.Module, _inputs: tuple[Tensor, ...], latent: Tensor) -> None:
        self._latent = latent

    def _pass_gradients(self, _embed: nn.Module, _inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (self._values,)


def bound(latent: Tensor) -> Tensor:
    """Where the encoder rounds: a number within the four levels -2 to 1."""
    half = (LEVELS - 1) * 1.001 / 2
    return torch.tanh(latent + math.atanh(0.5 / half)) * half - 0.5


class SpectralLoss(nn.Module):
    """Distance of sounds by their log-mel spectrograms and spectrograms of four resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()

    def forward(self, made: Tensor, target: Tensor) -> Tensor:
        """(batch, samples) twice -> a number; 0 for the same sound."""
        mel = (self.mel(made) - self.mel(target)).abs().mean()
        return mel + torch.stack([spectral_distance(made, target, *sizes) for sizes in RESOLUTIONS]).mean()


def spectral_distance(made: Tensor, target: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
    """At one resolution; Yamamoto et al. 2020 (arXiv:1910.11480) with the logarithm floored."""
    window = torch.hann_window(fft_samples, device=made.device)
    ours, theirs = (
        torch.stft(sound, fft_samples, hop_samples, window=window, return_complex=True).abs().clamp_min(1e-5)
        for sound in (made, target)
    )
    logarithm = (ours.clamp_min(MAGNITUDE_FLOOR).log() - theirs.clamp_min(MAGNITUDE_FLOOR).log()).abs().mean()
    relative = torch.dist(ours, theirs) / (torch.dist(theirs, torch.zeros_like(theirs)) + MAGNITUDE_FLOOR)
    return LOG_WEIGHT * logarithm + RELATIVE_WEIGHT * relative


def cut(samples: NDArray[np.int16], chance: np.random.Generator, device: torch.device) -> Tensor:
    """Eight random stretches of 1.28 s, at any half frame: (8, 30720)."""
    size = FRAMES * FRAME_SAMPLES
    starts = chance.integers(0, (len(samples) - size) // HOP_SAMPLES + 1, ROWS) * HOP_SAMPLES
    stretches = np.stack([samples[start : start + size] for start in starts])
    return torch.as_tensor(stretches.astype(np.float32) / 32768).to(device)


def train(plan: Plan, samples: NDArray[np.int16]) -> TrainedCodec:
    """Train a codec, or go on with it."""
    codec, distance = TrainedCodec(), SpectralLoss().to(plan.device)

    def measure(chance: np.random.Generator) -> Measured:
        target = cut(samples, chance, plan.device)
        made = codec(target)
        return Measured(distance(made, target), {"mel": (distance.mel(made) - distance.mel(target)).abs().mean()})

    Run(plan, codec).train(measure)
    return codec.eval()


def save_part(part: nn.Module, path: Path) -> None:
    """float16, as the service reads it."""
    path.write_bytes(save({name: value.half().cpu().contiguous() for name, value in part.state_dict().items()}))


def main(arguments: list[str] | None = None) -> None:
    """Train and save both halves."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    add_training(parser, minutes=25)
    options = parser.parse_args(arguments)
    plan = plan_of(options, "codec")
    codec = train(plan, SpeechSet(options.data / "speech", "train").samples())
    save_part(codec.encoder, options.data / "codec" / "codec_encoder.safetensors")
    save_part(codec.decoder, options.data / "codec" / "codec_decoder.safetensors")


if __name__ == "__main__":
    main()
