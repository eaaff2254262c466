"""Draws of codes from the language model's numbers, each request's from noise of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from app.codec.fsq import DIGITS, LEVELS
from app.engine.lm import END_ROW
from app.engine.stepper import Floats

NOISES = END_ROW + 1  # a number for each level of each digit, and one for the end
STEPS_AT_ONCE = 32  # a call of the generator takes as long for one step
COLDEST = 1e-6
PLACES = LEVELS ** np.arange(DIGITS)


def noise_of(seed: int | Sequence[int]) -> Iterator[Floats]:
    """What chance adds to each step's numbers, (33,), without end: the same for the same non-negative seed.

    Gumbel noise for the levels: the largest of noisy logits is a draw from their softmax. Logistic noise for
    the end, which competes with one other thing: any code.
    """
    chance = np.random.Generator(np.random.Philox(seed=np.random.SeedSequence(seed)))
    while True:
        gumbel = chance.gumbel(size=(STEPS_AT_ONCE, END_ROW))
        logistic = chance.logistic(size=(STEPS_AT_ONCE, 1))
        yield from np.concatenate((gumbel, logistic), 1, dtype=np.float32)


def draw(logits: Floats, temperatures: Floats, noise: Floats) -> list[int | None]:
    """A code for each row (rows, 34), or None for the end: one draw from the joint softmax over all tokens.

    At one temperature that softmax is the product of the digits' own, so the digits are drawn one by one; the
    end competes with the sum over all codes. Temperature 0 (rows,): the likeliest, whatever the noise (rows, 33).
    """
    heat = temperatures[:, None, None]
    digits = logits[:, :END_ROW].reshape(-1, DIGITS, LEVELS)
    best = digits.max(-1, keepdims=True)
    spread = np.exp((digits - best) / np.maximum(heat, np.float32(COLDEST)))
    any_code = (best + heat * np.log(spread.sum(-1, keepdims=True))).sum((1, 2))
    ends = logits[:, END_ROW] + temperatures * noise[:, END_ROW] > any_code
    levels = (digits + heat * noise[:, :END_ROW].reshape(digits.shape)).argmax(-1)
    codes: list[int] = (levels @ PLACES).tolist()
    return [None if end else code for end, code in zip(ends.tolist(), codes, strict=True)]


def greedy(logits: Floats) -> list[int | None]:
    """What temperature 0 draws from (rows, 34)."""
    return draw(
        logits, np.zeros(len(logits), np.float32), np.zeros((len(logits), NOISES), np.float32)
    )
