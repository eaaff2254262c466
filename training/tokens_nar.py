"""Train the one-pass token model: `python -m training.tokens_nar`.

Writes `nar/token_model.safetensors`. The model is trained on the teacher's durations, and on the
digits of each frame given these durations.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor
from torch.nn import functional

from app.codec.fsq import DIGITS, LEVELS
from app.codec.fsq_tensors import codes_to_digits
from app.engine.embedded.voices import add_voice_pads
from training.folder import add_folder
from training.loop import Measured, Plan, Run, add_training, build_plan
from training.networks.token_model import POSITION_FEATURES, TokenModel, align
from training.teacher import phoneme_table
from training.utterances import SpeechSet, Utterance
from training.weight_files import save_weights

ROWS = 16
DURATION_WEIGHT = 0.3


@dataclass(frozen=True, slots=True)
class Example:
    """Phonemes and durations of a sentence; phoneme, position features and code per frame."""

    ids: list[int]
    units: list[int]
    phoneme: Tensor
    position: Tensor
    codes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Sentences with equal numbers of phonemes. `spoken` is false for frames of padding."""

    ids: Tensor
    units: Tensor
    phoneme: Tensor
    position: Tensor
    codes: Tensor
    spoken: Tensor


class EqualLengths:
    """Batches of equal phoneme counts, so that the text encoder needs no mask."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._groups: dict[int, list[Example]] = {}
        for example in examples:
            self._groups.setdefault(len(example.ids), []).append(example)
        sizes = np.array([len(group) for group in self._groups.values()])
        self._shares = sizes / sizes.sum()

    def draw(self, rng: np.random.Generator) -> list[Example]:
        """Draw up to 16 sentences of one length, with each length as likely as it is common."""
        group = list(self._groups.values())[rng.choice(len(self._shares), p=self._shares)]
        chosen = rng.permutation(len(group))[:ROWS]
        return [group[index] for index in chosen]


def example_of(utterance: Utterance, codes: NDArray[np.uint16]) -> Example:
    """Make the training example of an utterance."""
    phoneme, position = align(torch.tensor(utterance.units))
    return Example(
        add_voice_pads(utterance.ids, utterance.voice),
        utterance.units,
        phoneme,
        position,
        codes.astype(np.int64),
    )


def load_examples(files: SpeechSet) -> list[Example]:
    """Load the examples of all utterances."""
    return [example_of(utterance, codes) for utterance, codes in files.with_codes()]


def collate(examples: Sequence[Example], device: torch.device) -> Batch:
    """Make a batch of examples."""
    size = (len(examples), max(len(example.codes) for example in examples))
    phoneme, codes = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    position, spoken = torch.zeros(*size, POSITION_FEATURES), torch.zeros(size, dtype=torch.bool)
    for row, example in enumerate(examples):
        frames = len(example.codes)
        phoneme[row, :frames], position[row, :frames] = example.phoneme, example.position
        codes[row, :frames], spoken[row, :frames] = torch.as_tensor(example.codes), True
    ids = torch.tensor([example.ids for example in examples])
    units = torch.tensor([example.units for example in examples]).float()
    return Batch(*(part.to(device) for part in (ids, units, phoneme, position, codes, spoken)))


def predict(model: TokenModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return log durations (batch, phonemes), and logits (batch, frames, 8, 4).

    The logits are those at the durations of the batch.
    """
    text = model.text_norm(model.text_blocks(model.embedding(batch.ids)))
    log_units = model.duration_head(model.duration_block(text)).squeeze(-1)
    spoken = text.gather(1, batch.phoneme.unsqueeze(-1).expand(-1, -1, text.shape[-1]))
    frames = model.frame_embed(torch.cat((spoken, batch.position), -1))
    logits = model.frame_head(model.frame_norm(model.frame_blocks(frames)))
    return log_units, logits.unflatten(-1, (DIGITS, LEVELS))


def measure(model: TokenModel, batch: Batch) -> Measured:
    """Return the cross-entropy per digit, the error of log durations, and the correct digits."""
    with torch.autocast(batch.ids.device.type, torch.bfloat16):
        log_units, logits = predict(model, batch)
    logits, digits = logits[batch.spoken].float(), codes_to_digits(batch.codes[batch.spoken])
    entropy = functional.cross_entropy(logits.flatten(0, 1), digits.flatten())
    duration = (log_units.float() - batch.units.log()).abs().mean()
    right = (logits.argmax(-1) == digits).float().mean()
    return Measured(
        entropy + DURATION_WEIGHT * duration,
        {"nll_per_digit": entropy, "duration_error": duration, "digits_right": right},
    )


def train(plan: Plan, examples: list[Example], model: TokenModel) -> TokenModel:
    """Train a model, from its checkpoint if there is one."""
    lengths = EqualLengths(examples)
    with plan.device:  # makes the rotary positions on the model's device
        Run(plan, model).train(lambda rng: measure(model, collate(lengths.draw(rng), plan.device)))
    return model.eval()


def save_model(model: TokenModel, path: Path) -> None:
    """Save a model in float16, with the phoneme table in the header."""
    save_weights(model, path, {"phonemes": json.dumps(phoneme_table(), ensure_ascii=False)})


def main(arguments: list[str] | None = None) -> None:
    """Train and save the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    add_training(parser, minutes=30)
    parser.add_argument("--start", type=Path, help="weights file to start from")
    options = parser.parse_args(arguments)
    plan, model = build_plan(options, "nar"), TokenModel()
    if options.start is not None:
        model.load_state_dict(load(options.start.read_bytes()))
    train(plan, load_examples(SpeechSet(options.data / "speech", "train")), model)
    save_model(model, options.data / "nar" / "token_model.safetensors")


if __name__ == "__main__":
    main()
