"""The judge's spelling and the measures of audio; tests/slow runs the recogniser itself."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("faster_whisper", reason="make setup-judge installs the recogniser")
pytest.importorskip("pesq", reason="pip install '.[judge,train]' does")

from bench.judge import normalise, word_error_rate
from training.quality import OpinionScore, at_16_khz, fidelity
from training.speakers import Line, Take, TeacherSpeaker


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("Your number is A one two three four.", "Your number is A1234"),
        ("A one two three four", "a 1-2-3-4."),
        ("at nine thirty A M", "at 9:30 a.m."),
        ("at nine thirty in the morning", "at 9.30 in the morning"),
        ("zero three, two one four five", "03-2145"),
        ("one thousand two hundred fifty ringgit", "1,250 ringgit"),
        ("four hundred eighty dollars", "$480"),
        ("the twenty first of August, nineteen ninety six", "the 21st of August 1996"),
        ("write to support at example dot com", "Write to support@example.com."),
        ("one of the well known e-mails", "1 of the well-known emails"),
        ("Okay, thank you", "OK thank you"),
        ("A B C", "ABC"),
    ],
)
def test_what_sounds_the_same_is_spelt_the_same(written: str, heard: str) -> None:
    assert normalise(written) == normalise(heard)


@pytest.mark.parametrize(
    ("written", "heard"), [("one two three", "1 3 2"), ("nine thirty", "9:13"), ("A B C", "ABD")]
)
def test_what_sounds_different_is_not(written: str, heard: str) -> None:
    assert normalise(written) != normalise(heard)
    assert word_error_rate([written], [heard]) > 0


def test_each_digit_counts_as_a_word() -> None:
    assert word_error_rate(["code eight zero three six"], ["code 8037"]) == 1 / 5


def test_fidelity_falls_with_noise() -> None:
    noise = np.random.default_rng(0)
    sound = noise.standard_normal(24_000 * 2).astype(np.float32) / 10
    sound[::2] *= np.repeat(noise.uniform(0.01, 1, 100), 240).astype(np.float32)
    reference = Take(sound, [100])
    worse = Take(sound + noise.standard_normal(len(sound)).astype(np.float32) / 20, [100])
    same, other = fidelity([reference], [reference]), fidelity([worse], [reference])
    assert same["pesq_wb"] > 4
    assert same["stoi"] > 0.999
    assert other["pesq_wb"] < same["pesq_wb"] - 1
    assert other["stoi"] < same["stoi"]


def test_listeners_would_like_the_teacher_better_than_noise() -> None:
    score, teacher = OpinionScore(), TeacherSpeaker()
    (take,) = teacher.speak([Line("", [[0, 50, 83, 54, 156, 57, 135, 3, 0]])], "lark")
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32) / 10
    assert score.overall(at_16_khz(take.samples)) > score.overall(noise) + 0.5
