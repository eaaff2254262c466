"""Train the codec: `python -m training.codec`.

Writes `codec/codec_encoder.safetensors` and `codec/codec_decoder.safetensors`. Encoder and decoder
are trained jointly to reconstruct the spectrum, from speech, its pitch and its aperiodicity. With
`--keep-encoder` only the decoder is trained, so that existing codes stay valid.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from app.codec.fsq import LEVELS
from training.aperiodicity import aperiodicity_distance, bytes_to_shares
from training.codec_encoder import FRAME_SAMPLES, HOP_SAMPLES, Encoder, mel_filterbank
from training.folder import add_folder
from training.loop import Measured, Plan, Run, add_training, build_plan
from training.networks.codec_decoder import Decoder, Envelopes, split_pitch_outputs
from training.teacher import SAMPLES_PER_PITCH
from training.utterances import SpeechSet
from training.weight_files import save_weights

ROWS = 8
FRAMES = 64
LOWEST_PITCH_HZ = 40.0
# FFT samples, hop samples, mel bands
RESOLUTIONS = ((2048, 512, 80), (1024, 256, 80), (512, 128, 40), (256, 64, 20))
# Weights beside the log-mel distance: log distance of the spectrograms, and their distance relative
# to the target's norm.
LOG_WEIGHT, RELATIVE_WEIGHT = 0.5, 0.3
VOICING_WEIGHT = 0.2
APERIODICITY_WEIGHT = 0.2
QUIETEST, QUIETEST_MEL = 1e-3, 1e-4  # floors under magnitudes before the logarithm


@dataclass(frozen=True, slots=True)
class Batch:
    """Excerpts of speech (batch, samples), with pitch and aperiodicity per step of 240 samples."""

    samples: Tensor
    pitch_hz: Tensor  # (batch, steps), 0 if unvoiced
    aperiodicity: Tensor  # (batch, steps, 20): share of noise in the power of each band


class DecodedBatch(NamedTuple):
    """Audio decoded at the true pitch (batch, samples), its envelopes, and the pitch outputs."""

    samples: Tensor
    envelopes: Envelopes
    pitch_numbers: Tensor  # (batch, steps, 2)


class TrainedCodec(nn.Module):
    """Encoder and decoder, joined so that gradients pass the rounding.

    The decoder gets the rounded values. The gradient of the rounding is 1: the straight-through
    estimator of FSQ (arXiv:2309.15505).
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, batch: Batch) -> DecodedBatch:
        """Encode and decode a batch."""
        levels = self.encoder.levels(batch.samples)
        values = (levels + (levels.round() - levels).detach()) / (LEVELS // 2)
        valid = torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
        first_frames = torch.zeros(len(values), dtype=torch.long, device=values.device)
        noise = self.decoder.spectrum(torch.randn_like(batch.samples))
        envelopes = self.decoder.predict_envelopes(values, valid)
        samples = self.decoder.synthesise(envelopes, valid, batch.pitch_hz, first_frames, noise)
        return DecodedBatch(samples, envelopes, self.decoder.pitch(values, valid))


class SpectralDistance(nn.Module):
    """Distance of log-mel spectrograms and spectrograms at four resolutions.

    As in Yamamoto et al. 2020 (arXiv:1910.11480), with a floor under the logarithms.
    """

    def __init__(self) -> None:
        super().__init__()
        for fft_samples, _, bands in RESOLUTIONS:
            self.register_buffer(
                f"bank_{fft_samples}", mel_filterbank(bands, fft_samples), persistent=False
            )
            self.register_buffer(
                f"window_{fft_samples}", torch.hann_window(fft_samples), persistent=False
            )

    def forward(self, made: Tensor, target: Tensor) -> Tensor:
        """Return the distance of two signals (batch, samples); 0 if they are equal."""
        return torch.stack([self._at(made, target, fft, hop) for fft, hop, _ in RESOLUTIONS]).mean()

    def _at(self, made: Tensor, target: Tensor, fft_samples: int, hop_samples: int) -> Tensor:
        window = self.get_buffer(f"window_{fft_samples}")
        bank = self.get_buffer(f"bank_{fft_samples}")

        def magnitudes(sound: Tensor) -> Tensor:
            spectrum = torch.stft(
                sound, fft_samples, hop_samples, window=window, return_complex=True
            )
            return spectrum.abs().clamp_min(1e-5)

        ours, theirs = magnitudes(made), magnitudes(target)
        mel = log_distance(ours.transpose(1, 2) @ bank, theirs.transpose(1, 2) @ bank, QUIETEST_MEL)
        norm = torch.dist(theirs, torch.zeros_like(theirs)) + QUIETEST
        relative = torch.dist(ours, theirs) / norm
        return mel + LOG_WEIGHT * log_distance(ours, theirs, QUIETEST) + RELATIVE_WEIGHT * relative


def log_distance(made: Tensor, target: Tensor, floor: float) -> Tensor:
    """Return the mean distance of the logarithms, with a floor under the values."""
    return (made.clamp_min(floor).log() - target.clamp_min(floor).log()).abs().mean()


def pitch_distance(numbers: Tensor, pitch_hz: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean distance of the log pitch of voiced steps, and the voicing cross-entropy."""
    logarithm, voicing = split_pitch_outputs(numbers.float())
    voiced = pitch_hz > 0
    off = (logarithm - pitch_hz.clamp_min(LOWEST_PITCH_HZ).log()).abs()
    entropy = functional.binary_cross_entropy_with_logits(voicing, voiced.float())
    return (off * voiced).sum() / voiced.sum().clamp_min(1), entropy


class SpeechExcerpts:
    """Random excerpts of 1.28 s, which begin at any half frame."""

    def __init__(self, files: SpeechSet) -> None:
        self._samples = files.samples()
        self._pitches = files.pitches()
        self._aperiodicities = files.aperiodicities()

    def draw(self, rng: np.random.Generator, device: torch.device) -> Batch:
        """Draw a batch of eight excerpts."""
        size = FRAMES * FRAME_SAMPLES
        steps = size // HOP_SAMPLES
        last_step = (len(self._samples) - size) // HOP_SAMPLES
        starts = rng.integers(0, last_step + 1, ROWS) * HOP_SAMPLES
        samples = np.stack([self._samples[start : start + size] for start in starts])
        samples = samples.astype(np.float32) / 32768
        pitch = np.stack([pitch_at_steps(self._pitches, start, steps) for start in starts])
        frames = [nearest_frames(len(self._pitches), start, steps) for start in starts]
        noise = np.stack([self._aperiodicities[nearest] for nearest in frames])
        parts = torch.as_tensor(samples), torch.as_tensor(pitch), bytes_to_shares(noise)
        return Batch(*(part.to(device) for part in parts))


def pitch_at_steps(
    pitches: NDArray[np.float16], first_sample: int, steps: int
) -> NDArray[np.float32]:
    """Return the teacher's pitch at the middle of each step.

    It is interpolated between two voiced frames, and otherwise that of the nearest frame.
    """
    positions = step_positions(len(pitches), first_sample, steps)
    before, behind, nearest = (
        pitches[at(positions).astype(int)].astype(np.float32)
        for at in (np.floor, np.ceil, np.round)
    )
    line = before + (positions % 1).astype(np.float32) * (behind - before)
    return np.where((before > 0) & (behind > 0), line, nearest)


def step_positions(frames: int, first_sample: int, steps: int) -> NDArray[np.float64]:
    """Return the middles of steps as fractional indices of the teacher's `frames` frames."""
    middles = first_sample + HOP_SAMPLES * (np.arange(steps) + 0.5)
    return (middles / SAMPLES_PER_PITCH - 0.5).clip(0, frames - 1)


def nearest_frames(frames: int, first_sample: int, steps: int) -> NDArray[np.int64]:
    """Return the index of the teacher's frame nearest to each step."""
    return np.round(step_positions(frames, first_sample, steps)).astype(np.int64)


def train(
    plan: Plan, excerpts: SpeechExcerpts, codec: TrainedCodec, *, keep_encoder: bool
) -> TrainedCodec:
    """Train a codec, from its checkpoint if there is one."""
    distance = SpectralDistance().to(plan.device)
    codec.encoder.requires_grad_(not keep_encoder)

    def measure(rng: np.random.Generator) -> Measured:
        batch = excerpts.draw(rng, plan.device)
        with torch.autocast(plan.device.type, torch.bfloat16):
            made: DecodedBatch = codec(batch)
        with torch.autocast(plan.device.type, enabled=False):
            spectral = distance(made.samples.float(), batch.samples)
            noise = aperiodicity_distance(made.envelopes, batch.aperiodicity, batch.pitch_hz)
            pitch, voicing = pitch_distance(made.pitch_numbers, batch.pitch_hz)
        loss = spectral + APERIODICITY_WEIGHT * noise + pitch + VOICING_WEIGHT * voicing
        return Measured(
            loss, {"spectral": spectral, "noise": noise, "pitch": pitch, "voicing": voicing}
        )

    Run(plan, codec).train(measure)
    return codec.eval()


def new_codec(start: Path | None) -> TrainedCodec:
    """Make a codec with random weights, or with those of a folder."""
    codec = TrainedCodec()
    if start is not None:
        codec.encoder.load_state_dict(load((start / "codec_encoder.safetensors").read_bytes()))
        codec.decoder.load_state_dict(load((start / "codec_decoder.safetensors").read_bytes()))
    return codec


def main(arguments: list[str] | None = None) -> None:
    """Train the codec, and save encoder and decoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    add_training(parser, minutes=40)
    parser.add_argument("--start", type=Path, help="folder with both weights files to start from")
    parser.add_argument("--keep-encoder", action="store_true", help="train only the decoder")
    options = parser.parse_args(arguments)
    plan = build_plan(options, "codec")
    excerpts = SpeechExcerpts(SpeechSet(options.data / "speech", "train"))
    codec = train(plan, excerpts, new_codec(options.start), keep_encoder=options.keep_encoder)
    save_weights(codec.encoder, options.data / "codec" / "codec_encoder.safetensors")
    save_weights(codec.decoder, options.data / "codec" / "codec_decoder.safetensors")


if __name__ == "__main__":
    main()
