from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from app.engine.lm import FIRST_CODE, LONGEST_TOKENS, LanguageModel, Shape, prompt_of
from app.engine.stepper import Floats, Stepper
from tests.engine.small_lm import SMALL, small_model

GROUPED = Shape(hidden=64, layers=2, heads=4, key_heads=2, head_width=16, feed=512)
PROMPTS = [
    prompt_of([0, *range(30 + row, 40 + 7 * row), 0], ("lark", "heron")[row % 2])
    for row in range(11)
]


def codes_of(row: int, count: int) -> list[int]:
    drawn = np.random.default_rng(row).integers(0, 65_536, count)
    return [FIRST_CODE + int(code) for code in drawn]


def stepped(stepper: Stepper, rows: list[int], steps: int, watched: int) -> Floats:
    """The numbers of one request after each of its codes, with those of `rows` (prompts' numbers) around it."""
    for place, row in enumerate(rows):
        stepper.begin(place, PROMPTS[row])
    seen: list[Floats] = []
    codes = [codes_of(row, steps) for row in rows]
    for step in range(steps):
        positions = [len(PROMPTS[row]) + step for row in rows]
        seen.append(
            stepper.step([of_row[step] for of_row in codes], positions)[rows.index(watched)]
        )
    return np.stack(seen)


@torch.inference_mode()
def full(model: LanguageModel, row: int, steps: int) -> Floats:
    """The same, everything computed anew by the model that is trained."""
    tokens = torch.tensor([[*PROMPTS[row], *codes_of(row, steps)]])
    return model(tokens)[0, len(PROMPTS[row]) :].numpy()


@pytest.mark.parametrize("shape", [SMALL, GROUPED, replace(GROUPED, feed=96)])
def test_what_is_kept_gives_what_the_whole_pass_gives(shape: Shape) -> None:
    model = small_model(shape)
    stepper = Stepper(model, 4)
    for row in (0, 3, 8):  # one after the other in the same row
        numbers, expected = stepped(stepper, [row], 150, row), full(model, row, 150)
        assert expected.std() > 0.1
        assert np.abs(numbers - expected).max() < 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("shape", [SMALL, GROUPED])
def test_a_row_is_the_same_to_the_last_bit_whoever_else_is_there(shape: Shape) -> None:
    stepper = Stepper(small_model(shape), 12)
    alone = stepped(stepper, [5], 140, 5)
    for rows in (
        [5, 1],
        [2, 5, 10],
        [10, 1, 2, 3, 5],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [9, 8, 7, 6, 4, 3, 2, 5],
    ):
        assert np.array_equal(stepped(stepper, rows, 140, 5), alone)


def test_the_shipped_shape_is_computed_alike_alone_and_in_a_full_batch() -> None:
    model = small_model(Shape())
    stepper = Stepper(model, 8)
    alone = stepped(stepper, [4], 6, 4)
    assert np.array_equal(stepped(stepper, [0, 1, 2, 3, 4, 5, 6, 7], 6, 4), alone)
    assert np.abs(alone - full(model, 4, 6)).max() < 1e-3


def test_a_row_that_is_not_used_does_not_matter() -> None:
    stepper = Stepper(small_model(), 8)
    alone = stepped(stepper, [5], 20, 5)
    stepper.begin(6, PROMPTS[5])
    codes = codes_of(5, 20)
    numbers = [
        stepper.step([0] * 6 + [code], [0] * 6 + [len(PROMPTS[5]) + step])[6]
        for step, code in enumerate(codes)
    ]
    assert np.array_equal(np.stack(numbers), alone)


def test_no_request_is_longer_than_the_positions() -> None:
    stepper = Stepper(small_model(), 1)
    stepper.begin(0, PROMPTS[0])
    stepper.step([FIRST_CODE], [LONGEST_TOKENS - 1])
    with pytest.raises(IndexError):
        stepper.step([FIRST_CODE], [LONGEST_TOKENS])


def test_weights_whose_scores_could_overflow_are_refused() -> None:
    model = small_model()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                parameter.fill_(5.0)
    with pytest.raises(ValueError, match="overflow"):
        Stepper(model, 1)
