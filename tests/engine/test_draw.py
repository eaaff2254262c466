from __future__ import annotations

from itertools import islice

import numpy as np

from app.codec.fsq import DIGITS, LEVELS
from app.engine.draw import NOISES, draw, greedy, noise_of
from app.engine.lm import END_ROW, NEVER_ROW
from app.engine.stepper import Floats


def numbers(*, code: int, end: float, sure: float = 20.0) -> Floats:
    """Logits of one row: `sure` for each digit of `code`, 0 for the others."""
    row = np.zeros(NEVER_ROW + 1, np.float32)
    row[[LEVELS * digit + code // LEVELS**digit % LEVELS for digit in range(DIGITS)]] = sure
    row[END_ROW] = end
    return row


def drawn(row: Floats, temperature: float, count: int, seed: int = 1) -> list[int | None]:
    noise = np.stack(list(islice(noise_of(seed), count)))
    return draw(np.tile(row, (count, 1)), np.full(count, temperature, np.float32), noise)


def test_the_digits_make_the_code() -> None:
    assert greedy(np.stack([numbers(code=code, end=0.0) for code in (0, 1, 4, 27_182, 65_535)])) == [
        0, 1, 4, 27_182, 65_535,
    ]  # fmt: skip


def test_at_temperature_0_the_end_competes_with_the_likeliest_code() -> None:
    assert greedy(np.stack([numbers(code=7, end=159.0), numbers(code=7, end=161.0)])) == [7, None]
    every_code_alike = numbers(
        code=0, end=1.0, sure=0.0
    )  # their sum is e^11 times as likely as any of them
    assert greedy(every_code_alike[None]) == [None]
    assert None not in drawn(every_code_alike, 1.0, 400)


def test_temperature_0_knows_no_noise() -> None:
    logits = np.random.default_rng(0).normal(size=(50, NEVER_ROW + 1)).astype(np.float32)
    noise = np.stack(list(islice(noise_of(3), 50)))
    assert draw(logits, np.zeros(50, np.float32), noise) == greedy(logits)
    assert draw(logits, np.ones(50, np.float32), noise) != greedy(logits)


def test_a_draw_follows_the_joint_softmax() -> None:
    thrice = numbers(code=0, end=160.0 + np.log(3.0))  # the end is three times as likely as code 0
    warm = drawn(thrice, 1.0, 2000)
    assert set(warm) == {0, None}
    assert 0.72 < warm.count(None) / 2000 < 0.78
    assert 0.87 < drawn(thrice, 0.5, 2000).count(None) / 2000 < 0.93  # 9 to 1
    digit = numbers(code=0, end=0.0)
    digit[1] = 20.0 + np.log(0.25)
    assert 0.17 < drawn(digit, 1.0, 2000).count(1) / 2000 < 0.23
    assert 0.04 < drawn(digit, 0.5, 2000).count(1) / 2000 < 0.08  # 16 to 1


def test_a_row_draws_the_same_in_any_batch() -> None:
    logits = np.random.default_rng(0).normal(size=(16, NEVER_ROW + 1)).astype(np.float32)
    noise = np.stack(list(islice(noise_of(5), 16)))
    heat = np.linspace(0, 1.5, 16, dtype=np.float32)
    together = draw(logits, heat, noise)
    assert [
        draw(logits[row:][:1], heat[row:][:1], noise[row:][:1])[0] for row in range(16)
    ] == together


def test_noise_follows_the_seed() -> None:
    first, again, other, part = (
        np.stack(list(islice(noise_of(seed), 100))) for seed in (1, 1, 2, (1, 1))
    )
    assert first.shape == (100, NOISES)
    assert first.dtype == np.float32
    assert np.array_equal(first, again)
    assert not np.isclose(first, other).any(1).all()
    assert not np.array_equal(first, part)
    assert len(np.unique(first)) > 3200  # no step repeats another's
