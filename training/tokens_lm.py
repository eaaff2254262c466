"""Train the language model: `python -m training.tokens_lm`.

Writes `lm/language_model.safetensors`. The loss is that of the joint softmax over all tokens, in
which the end token competes with each code. The trained model can therefore be exported as a stock
Qwen3. One attention head in each of two layers is also trained to attend to the phoneme that is
being spoken. Without this alignment a model of this size learns to babble.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.codec.fsq import DIGITS, LEVELS
from app.codec.fsq_tensors import codes_to_digits
from training.folder import add_folder
from training.language_model import (
    END_ROW,
    FIRST_CODE,
    MESSAGE_END,
    NEVER_ROW,
    LanguageModel,
    Shape,
    build_prompt,
)
from training.lengths import Lengths
from training.loop import Measured, Plan, Run, add_training, build_plan
from training.networks.token_model import align
from training.utterances import SpeechSet, Utterance
from training.weight_files import save_weights

MAX_FRAMES = 600
BATCH_TOKENS = 2400
ALIGNED_LAYERS = (1 / 3, 2 / 3)  # positions as fractions of the depth
ALIGNMENT_WEIGHT = 0.2
INITIAL_SPREAD = 0.04
NEVER_TOKENS = FIRST_CODE - 1  # number of tokens other than codes and the end
IGNORED = -1


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt, its codes, and for each code the position of its phoneme in the prompt."""

    prompt: list[int]
    codes: NDArray[np.int64]
    spoken: NDArray[np.int64]

    @property
    def tokens(self) -> int:
        """Number of input tokens of the model."""
        return len(self.prompt) + len(self.codes)


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded on the right: input tokens, target tokens (or -1), aligned positions (or -1)."""

    tokens: Tensor
    following: Tensor
    spoken: Tensor


def example_of(utterance: Utterance, codes: NDArray[np.uint16]) -> Example:
    """Align codes with phonemes by durations. A prompt has one more token before the phonemes."""
    phoneme, _ = align(torch.tensor(utterance.units))
    return Example(
        build_prompt(utterance.ids, utterance.voice), codes.astype(np.int64), phoneme.numpy() + 1
    )


def load_examples(files: SpeechSet) -> list[Example]:
    """Load all utterances of at most 600 frames (12 s)."""
    pairs = files.with_codes()
    return [
        example_of(utterance, codes) for utterance, codes in pairs if utterance.frames <= MAX_FRAMES
    ]


def collate(examples: Sequence[Example], device: torch.device) -> Batch:
    """Make a batch of examples."""
    size = (len(examples), max(example.tokens for example in examples))
    tokens = np.zeros(size, np.int64)
    following, spoken = np.full(size, IGNORED), np.full(size, IGNORED)
    for row, example in enumerate(examples):
        first, last = len(example.prompt) - 1, example.tokens - 1
        tokens[row, : last + 1] = [*example.prompt, *(example.codes + FIRST_CODE)]
        following[row, first : last + 1] = [*(example.codes + FIRST_CODE), MESSAGE_END]
        spoken[row, first:last] = example.spoken
    return Batch(*(torch.as_tensor(part).to(device) for part in (tokens, following, spoken)))


def negative_log_likelihood(logits: Tensor, following: Tensor) -> Tensor:
    """Return the negative log likelihood under the joint softmax (n,), in nats.

    `logits`: (n, 34). `following`: target tokens (n,), codes or the end.
    """
    digits = logits[:, :END_ROW].view(-1, DIGITS, LEVELS)
    end, never = logits[:, END_ROW], logits[:, NEVER_ROW] + math.log(NEVER_TOKENS)
    every_code = digits.logsumexp(-1).sum(-1)
    total = torch.stack((every_code, end, never), -1).logsumexp(-1)
    target_digits = codes_to_digits((following - FIRST_CODE).clamp_min(0))
    code = digits.gather(-1, target_digits.unsqueeze(-1)).squeeze(-1).sum(-1)
    return total - torch.where(following == MESSAGE_END, end, code)


def aligned_layers(shape: Shape) -> list[int]:
    """Return the layers whose first head is aligned with the text."""
    return [int(depth * shape.layers) for depth in ALIGNED_LAYERS]


def measure(model: LanguageModel, batch: Batch) -> Measured:
    """Return the loss, its parts, and the shares of correct digits and alignments."""
    seen: dict[int, list[Tensor]] = {layer: [] for layer in aligned_layers(model.shape)}
    with torch.autocast(batch.tokens.device.type, torch.bfloat16):
        logits = model(batch.tokens, seen=seen)
    has_target = batch.following != IGNORED
    logits, following = logits[has_target].float(), batch.following[has_target]
    likelihood = negative_log_likelihood(logits, following).mean() / DIGITS
    has_alignment = batch.spoken != IGNORED
    positions = batch.spoken[has_alignment].unsqueeze(-1)
    attentions = [weights[has_alignment] for (weights,) in seen.values()]
    alignment = torch.stack(
        [-attention.gather(-1, positions).mean() for attention in attentions]
    ).mean()
    predicted = logits[:, :END_ROW].view(-1, DIGITS, LEVELS).argmax(-1)
    right = predicted == codes_to_digits(following - FIRST_CODE)
    return Measured(
        likelihood + ALIGNMENT_WEIGHT * alignment,
        {
            "nll_per_digit": likelihood,
            "digits_right": right[following >= FIRST_CODE].float().mean(),
            "alignment_loss": alignment,
            "aligned": (attentions[-1].argmax(-1, keepdim=True) == positions).float().mean(),
        },
    )


def new_model(shape: Shape) -> LanguageModel:
    """Make a model with random weights."""
    model = LanguageModel(shape)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, 0, INITIAL_SPREAD)
    return model


def train(
    plan: Plan, shape: Shape, examples: list[Example], batch_tokens: int = BATCH_TOKENS
) -> LanguageModel:
    """Train a model, from its checkpoint if there is one."""
    model = new_model(shape)
    lengths = Lengths(examples, [example.tokens for example in examples])
    Run(plan, model).train(
        lambda rng: measure(model, collate(lengths.draw(rng, batch_tokens), plan.device))
    )
    return model.eval()


@torch.no_grad()
def held_out(model: LanguageModel, examples: list[Example], device: torch.device) -> str:
    """Format the means of `measure` over held-out sentences."""
    measured = [measure(model, collate([example], device)).numbers for example in examples]
    means = {
        name: torch.stack([numbers[name] for numbers in measured]).mean().item()
        for name in measured[0]
    }
    return "  ".join(f"{name} {value:.4f}" for name, value in means.items())


def save_model(model: LanguageModel, path: Path) -> None:
    """Save a model in float16, with its shape in the header."""
    save_weights(model, path, {"shape": json.dumps(asdict(model.shape))})


def main(arguments: list[str] | None = None) -> None:
    """Train and save the model, and print its measures on held-out sentences."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    add_training(parser, minutes=60)
    for name, size in asdict(Shape()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=size)
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS)
    options = parser.parse_args(arguments)
    shape = Shape(**{name: getattr(options, name) for name in asdict(Shape())})
    plan = build_plan(options, "lm")
    train_set = load_examples(SpeechSet(options.data / "speech", "train"))
    held_out_set = load_examples(SpeechSet(options.data / "speech", "held"))
    model = train(plan, shape, train_set, options.batch_tokens)
    save_model(model, options.data / "lm" / "language_model.safetensors")
    numbers = held_out(model, held_out_set, plan.device)
    print(f"{len(train_set)} sentences; held out: {numbers}", flush=True)


if __name__ == "__main__":
    main()
