from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from app.codec import CodeWindow
from app.engine.chorus import Chorus
from app.engine.lm import LanguageModel, Shape
from app.engine.one_pass import load_model
from app.engine.phonemes import Phonemiser
from app.engine.voices import VOICES
from voices.train.encode import load_encoder
from voices.train.speakers import (
    CodecSpeaker,
    Line,
    ModelSpeaker,
    Take,
    TeacherSpeaker,
    limit_of,
    lines_of,
    load_codec,
    sing,
    speak_lm,
    speak_nar,
)
from voices.train.teacher import phoneme_table
from voices.train.tokens_lm import new_model
from voices.train.weights import Weights

SMALL = Shape(hidden=48, layers=3, heads=3, key_heads=1, head_width=16, feed=64)
PIECES = [[0, 50, 83, 54, 0], [0, 65, 0], [0, *range(43, 60), 0]]
LARK, HERON = VOICES


def small_model() -> LanguageModel:
    torch.manual_seed(0)
    return new_model(SMALL).eval()


def two_lines() -> list[Line]:
    return lines_of(Phonemiser(phoneme_table()), ["Good morning to you. Hello!", "That is all."])


def test_the_same_seed_draws_the_same_codes_whoever_else_speaks() -> None:
    model = small_model()
    (one,) = speak_lm(model, PIECES[:1], LARK, 1.0, seed=5)
    three = speak_lm(model, PIECES, LARK, 1.0, seed=5)
    assert one == three[0]
    assert speak_lm(model, PIECES[:1], LARK, 1.0, seed=6)[0] != one
    assert speak_lm(model, PIECES[:1], HERON, 1.0, seed=5)[0] != one


class Endless(Chorus):
    """Two rows that say 7 for ever, and a third phoneme that ends after two steps."""

    def __init__(self) -> None:
        self._steps_left: dict[int, float] = {}

    @property
    def is_full(self) -> bool:
        """Both rows are taken."""
        return len(self._steps_left) == 2

    def join(
        self,
        phonemes: Sequence[int],
        temperature: float,
        seed: int | Sequence[int],
        voice: str = LARK,
    ) -> int:
        """The first row that is free."""
        row = next(row for row in (0, 1) if row not in self._steps_left)
        self._steps_left[row] = 2 if len(phonemes) == 3 else math.inf
        return row

    def leave(self, row: int) -> None:
        """Free again."""
        del self._steps_left[row]

    def step(self) -> dict[int, int | None]:
        """7, or the end."""
        codes = {row: 7 if left else None for row, left in self._steps_left.items()}
        self._steps_left = {row: left - 1 for row, left in self._steps_left.items() if left}
        return codes


def test_what_never_ends_is_cut_and_makes_room() -> None:
    steps = list(sing(Endless(), PIECES, LARK, 0.0, 0))
    assert {piece for codes in steps[:3] for piece in codes} == {0, 1}
    assert steps[2] == {0: 7, 1: None}
    assert steps[3] == {0: 7, 2: 7}
    spoken = [sum(codes.get(piece) == 7 for codes in steps) for piece in range(3)]
    assert spoken == [limit_of(PIECES[0]), 2, limit_of(PIECES[2])]


def test_takes_are_as_long_as_the_durations_of_their_pieces() -> None:
    lines = two_lines()
    assert [len(line.pieces) for line in lines] == [2, 1]
    speaker = TeacherSpeaker()
    takes = speaker.speak(lines, LARK)
    for line, take in zip(lines, takes, strict=True):
        assert abs(len(take.samples) - 480 * sum(take.frames)) <= 240 * len(
            take.frames
        )  # units of 1.25 frames
        assert speaker.frames(line) == take.frames
        assert 0.05 < np.abs(take.samples).max() < 1


def test_the_codec_says_what_the_teacher_said_and_no_more() -> None:
    lines, weights = two_lines()[1:], Weights()
    teacher = TeacherSpeaker()
    (said,) = teacher.speak(lines, HERON)
    (again,) = CodecSpeaker(
        teacher, load_encoder(weights.encoder), load_codec(weights.decoder)
    ).speak(lines, HERON)
    assert again.frames == said.frames
    assert len(again.samples) == len(said.samples)
    levels = [np.square(take.samples[: 4800 * 4].reshape(4, -1)).mean(1) for take in (said, again)]
    assert np.argmax(levels[0]) == np.argmax(levels[1])  # loud where the teacher is


def test_the_pieces_of_a_line_are_decoded_as_one() -> None:
    codec = load_codec(Weights().decoder)
    lines = [Line("two pieces", PIECES[:2]), Line("nothing", [])]
    takes = ModelSpeaker(lambda pieces, voice: [ids[1:-1] for ids in pieces], codec).speak(
        lines, LARK
    )
    codes = np.array([*PIECES[0][1:-1], *PIECES[1][1:-1]], np.int32)[:, None]
    (wanted,) = codec.decode([CodeWindow(codes)])
    assert takes[0].frames == [3, 1]
    assert np.array_equal(takes[0].samples, wanted)
    assert takes[1] == Take(takes[1].samples, [])


def test_the_one_pass_model_has_both_voices() -> None:
    model = load_model(Weights().token_model)
    ids = two_lines()[1].pieces
    lark, heron = (speak_nar(model, ids, voice)[0] for voice in VOICES)
    assert lark != heron
