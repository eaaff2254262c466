from __future__ import annotations

import numpy as np
import pytest
import torch

from app.codec import CodeWindow
from app.engine.embedded.phonemes import Phonemiser
from app.engine.embedded.voices import VOICES
from training.encode import load_encoder
from training.export import expand
from training.language_model import END_ROW, NEVER_ROW, SPEECH_START, LanguageModel, Shape
from training.networks.token_model import read_token_model
from training.speakers import (
    CodecSpeaker,
    Line,
    ModelSpeaker,
    Take,
    TeacherSpeaker,
    load_codec,
    max_frames,
    phonemise_lines,
    speak_lm,
    speak_nar,
)
from training.teacher import phoneme_table
from training.tokens_lm import new_model
from training.weight_files import Weights

pytestmark = pytest.mark.process

SMALL = Shape(hidden=48, layers=3, heads=3, key_heads=1, head_width=16, feed=64)
PIECES = [[0, 50, 83, 54, 0], [0, 65, 0], [0, *range(43, 60), 0]]
LARK, HERON = VOICES


def small_model() -> LanguageModel:
    torch.manual_seed(0)
    return new_model(SMALL).eval()


def two_lines() -> list[Line]:
    return phonemise_lines(
        Phonemiser(phoneme_table()), ["Good morning to you. Hello!", "That is all."]
    )


def test_a_seed_repeats_the_codes_and_the_voice_is_part_of_the_prompt() -> None:
    model = expand(small_model())
    first, again, other = (speak_lm(model, PIECES, LARK, 1.0, seed) for seed in (5, 5, 6))
    assert first == again != other
    assert all(0 <= code < 65_536 for codes in first for code in codes)
    assert speak_lm(model, PIECES, LARK, 0.0, 5) != speak_lm(model, PIECES, HERON, 0.0, 5)


def test_a_piece_is_cut_at_its_own_limit() -> None:
    model = small_model()
    with torch.no_grad():
        model.head.weight[[END_ROW, NEVER_ROW]] = 0  # a code is always likelier
    spoken = speak_lm(expand(model), PIECES, LARK, 0.0, seed=0)
    assert [len(codes) for codes in spoken] == [max_frames(ids) for ids in PIECES]


def test_a_piece_ends_at_the_first_token_that_is_no_code() -> None:
    model = small_model()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.weight[END_ROW] = 100 * model.norm.weight
        model.text.weight[SPEECH_START] = 1.0
    assert speak_lm(expand(model), PIECES, LARK, 0.0, seed=0) == [[], [], []]


def test_a_batch_generates_the_codes_of_each_piece_alone() -> None:
    model = expand(small_model())
    together = speak_lm(model, PIECES, LARK, 0.0, seed=0)
    alone = [speak_lm(model, [ids], LARK, 0.0, seed=0)[0] for ids in PIECES]
    assert [codes[:8] for codes in together] == [codes[:8] for codes in alone]


def test_takes_are_as_long_as_the_durations_of_their_pieces() -> None:
    lines = two_lines()
    assert [len(line.chunks) for line in lines] == [2, 1]
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
    model = read_token_model(Weights().token_model.read_bytes())
    ids = two_lines()[1].chunks
    lark, heron = (speak_nar(model, ids, voice)[0] for voice in VOICES)
    assert lark != heron
