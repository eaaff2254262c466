"""Train the codec's pitch network on codes: `python -m training.pitch`, after `encode`.

The training of the codec trains it too, but most of its time goes into audio. Without audio a step
uses twelve times as much speech. Writes the network to `codec/codec_decoder.safetensors`.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from app.codec.fsq_tensors import codes_to_digits, digits_to_values
from training.codec import VOICING_WEIGHT, pitch_at_steps, pitch_distance
from training.folder import add_folder
from training.loop import Measured, Plan, Run, add_training, build_plan
from training.networks.codec_decoder import STEPS_PER_FRAME, FrameNetwork, read_decoder
from training.utterances import SpeechSet
from training.weight_files import save_weights

ROWS = 48
FRAMES = 128


class Pitches:
    """Codes of all speech, with the pitch at each step."""

    def __init__(self, files: SpeechSet) -> None:
        pairs = list(files.with_codes())
        known = files.pitches()
        self._codes = np.concatenate([codes for _, codes in pairs])
        pitches = [
            pitch_at_steps(known, utterance.first_sample, STEPS_PER_FRAME * len(codes))
            for utterance, codes in pairs
        ]
        self._pitch_hz = np.concatenate(pitches)

    def draw(self, rng: np.random.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
        """Draw excerpts of up to 2.56 s.

        Returns codes (batch, frames), and pitch in Hz (batch, steps), which is 0 if unvoiced.
        """
        frames = min(FRAMES, len(self._codes))
        starts = rng.integers(0, len(self._codes) - frames + 1, ROWS)
        steps = STEPS_PER_FRAME * frames
        codes = np.stack([self._codes[start : start + frames] for start in starts]).astype(np.int64)
        pitch = np.stack(
            [self._pitch_hz[first : first + steps] for first in STEPS_PER_FRAME * starts]
        )
        return torch.as_tensor(codes).to(device), torch.as_tensor(pitch).to(device)


def train(plan: Plan, pitches: Pitches, network: FrameNetwork) -> FrameNetwork:
    """Train a pitch network, from its checkpoint if there is one."""

    def measure(rng: np.random.Generator) -> Measured:
        codes, pitch_hz = pitches.draw(rng, plan.device)
        with torch.autocast(plan.device.type, torch.bfloat16):
            numbers = network(
                digits_to_values(codes_to_digits(codes)), torch.ones_like(codes, dtype=torch.bool)
            )
        pitch, voicing = pitch_distance(numbers, pitch_hz)
        return Measured(pitch + VOICING_WEIGHT * voicing, {"pitch": pitch, "voicing": voicing})

    Run(plan, network).train(measure)
    return network.eval()


def main(arguments: list[str] | None = None) -> None:
    """Train the network, and write it to the decoder's file."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    add_training(parser, minutes=10)
    options = parser.parse_args(arguments)
    path = options.data / "codec" / "codec_decoder.safetensors"
    decoder = read_decoder(path.read_bytes())
    train(
        build_plan(options, "pitch"),
        Pitches(SpeechSet(options.data / "speech", "train")),
        decoder.pitch,
    )
    save_weights(decoder, path)


if __name__ == "__main__":
    main()
