from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load

from app.codec.fsq_tensors import codes_to_digits
from training import tokens_lm, tokens_nar
from training.language_model import (
    END_ROW,
    FIRST_CODE,
    MESSAGE_END,
    NEVER_ROW,
    Shape,
    build_prompt,
    read_language_model,
)
from training.loop import Measured
from training.networks.token_model import TokenModel
from training.safetensors_metadata import phoneme_ids
from training.teacher import phoneme_table
from training.utterances import SpeechSet

pytestmark = pytest.mark.process

CPU = torch.device("cpu")
SMALL = [
    "--hidden",
    "48",
    "--layers",
    "3",
    "--head-width",
    "16",
    "--feed",
    "64",
    "--batch-tokens",
    "400",
]


def learn(model: torch.nn.Module, measure: Callable[[], Measured], steps: int) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        measure().loss.backward()
        optimiser.step()


def test_the_likelihood_is_that_of_a_softmax_over_every_token() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, NEVER_ROW + 1)
    following = torch.tensor([FIRST_CODE + 12345, MESSAGE_END, FIRST_CODE])
    codes = codes_to_digits(torch.arange(65_536))
    every = logits[:, NEVER_ROW:].repeat(1, FIRST_CODE + 65_536)
    every[:, FIRST_CODE:] = logits[:, :END_ROW].view(3, 8, 4)[:, torch.arange(8), codes].sum(-1)
    every[:, MESSAGE_END] = logits[:, END_ROW]
    expected = -every.log_softmax(-1).gather(-1, following.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(tokens_lm.negative_log_likelihood(logits, following), expected, atol=1e-4)


def test_a_batch_asks_for_every_code_and_the_end(data: Path) -> None:
    examples = tokens_lm.load_examples(SpeechSet(data / "speech", "train"))
    batch = tokens_lm.collate(examples, CPU)
    for row, example in enumerate(examples):
        asked = batch.following[row] != -1
        assert (batch.following[row][asked] - FIRST_CODE).tolist()[:-1] == example.codes.tolist()
        assert batch.following[row][asked][-1] == MESSAGE_END
        assert (
            batch.tokens[row, asked.nonzero()[1:, 0]].tolist()
            == (example.codes + FIRST_CODE).tolist()
        )
        spoken = batch.spoken[row][batch.spoken[row] != -1]
        assert spoken[0] == 1  # the first silence belongs to what stands in the pad's place
        assert spoken[-1] == len(example.prompt) - 1
        assert bool((spoken.diff() >= 0).all())


def test_the_language_model_learns_one_batch(data: Path) -> None:
    torch.manual_seed(0)
    model = tokens_lm.new_model(
        Shape(hidden=48, layers=3, heads=3, key_heads=1, head_width=16, feed=64)
    )
    batch = tokens_lm.collate(tokens_lm.load_examples(SpeechSet(data / "speech", "train"))[:2], CPU)
    first = tokens_lm.measure(model, batch)
    learn(model, lambda: tokens_lm.measure(model, batch), 15)
    last = tokens_lm.measure(model, batch)
    assert last.loss < 0.9 * first.loss
    assert last.numbers["alignment_loss"] < first.numbers["alignment_loss"]


def test_the_language_model_is_trained_saved_and_resumed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens_lm.main(["--data", str(data), "--steps", "3", *SMALL])
    weights = data / "lm" / "language_model.safetensors"
    first = read_language_model(weights.read_bytes())
    assert first.shape == Shape(hidden=48, layers=3, heads=3, key_heads=1, head_width=16, feed=64)
    tokens_lm.main(["--data", str(data), "--steps", "5", *SMALL])
    printed = capsys.readouterr().out
    assert "resumed at step 3" in printed
    assert "held out: nll_per_digit" in printed
    second = read_language_model(weights.read_bytes())
    assert not torch.equal(first.head.weight, second.head.weight)


def test_training_sees_the_one_pass_model_that_speaks(data: Path) -> None:
    torch.manual_seed(0)
    model = TokenModel().eval()
    (example, *_) = tokens_nar.load_examples(SpeechSet(data / "speech", "train"))
    with torch.inference_mode():
        codes, units = model(torch.tensor(example.ids))
        own = tokens_nar.Example(
            example.ids,
            units.int().tolist(),
            *tokens_nar.align(units),
            np.zeros(len(codes), np.int64),
        )
        log_units, logits = tokens_nar.predict(model, tokens_nar.collate([own], CPU))
    assert log_units.exp().round().clamp_min(1)[0].tolist() == units.tolist()
    assert logits.argmax(-1)[0].tolist() == codes_to_digits(codes).tolist()


def test_the_one_pass_model_learns_one_batch(data: Path) -> None:
    torch.manual_seed(0)
    model = TokenModel()
    batch = tokens_nar.collate(
        tokens_nar.load_examples(SpeechSet(data / "speech", "train"))[:1], CPU
    )
    first = tokens_nar.measure(model, batch)
    learn(model, lambda: tokens_nar.measure(model, batch), 4)
    assert tokens_nar.measure(model, batch).loss < first.loss


def test_the_one_pass_model_is_trained_and_saved_as_the_service_loads_it(data: Path) -> None:
    tokens_nar.main(["--data", str(data), "--steps", "2"])
    weights = (data / "nar" / "token_model.safetensors").read_bytes()
    TokenModel().load_state_dict(load(weights))
    assert phoneme_ids(weights) == phoneme_table()


def test_equal_lengths_are_drawn_together(data: Path) -> None:
    examples = tokens_nar.load_examples(SpeechSet(data / "speech", "train"))
    drawn = tokens_nar.EqualLengths([*examples, *examples])
    for seed in range(10):
        batch = drawn.draw(np.random.default_rng(seed))
        assert len({len(example.ids) for example in batch}) == 1
        assert len(batch) >= 2


def test_the_marks_take_the_pads_places() -> None:
    assert len(build_prompt([0, 5, 6, 0])) == 5
    assert build_prompt([0, 5, 6, 0])[2:4] == [5, 6]
