from __future__ import annotations

import re

import numpy as np
import pytest

from training import callcentre


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (7, "seven"),
        (10, "ten"),
        (21, "twenty one"),
        (90, "ninety"),
        (100, "one hundred"),
        (250, "two hundred fifty"),
        (1250, "one thousand two hundred fifty"),
        (30_012, "thirty thousand twelve"),
        (999_999, "nine hundred ninety nine thousand nine hundred ninety nine"),
    ],
)
def test_cardinals(number: int, words: str) -> None:
    assert callcentre.cardinal(number) == words


def test_every_gap_of_every_template_is_filled() -> None:
    chance = np.random.default_rng(0)
    for template in callcentre.TEMPLATES:
        for _ in range(20):
            sentence = callcentre.fill(template, chance)
            assert re.fullmatch(r"[A-Za-z ,]+[.?]", sentence), sentence


def test_the_same_seed_writes_the_same_sentences() -> None:
    first, again, other = (list(callcentre.sentences(40, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) > 35
