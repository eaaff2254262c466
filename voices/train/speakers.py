"""Who speaks when the voice is measured: the teacher, the codec after it, and the token models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from app.codec import CodeWindow
from app.codec.builtin import builtin_codec, read_decoder
from app.codec.builtin_encoder import BuiltinEncoder
from app.codec.eager import EagerCodec
from app.engine.chorus import Chorus
from app.engine.conductor import longest_frames
from app.engine.lm import LanguageModel, read_language_model
from app.engine.nar import FRAMES_PER_UNIT, TokenModel
from app.engine.one_pass import load_model
from app.engine.phonemes import Phonemiser, Piece
from app.engine.voices import VOICES, padded
from app.samples import Samples
from voices.train.cast import TIMBRES
from voices.train.encode import load_encoder
from voices.train.teacher import Teacher
from voices.train.weights import Weights

ROWS = 8
FULL_SCALE = np.float32(32768)

Pieces = Sequence[list[int]]  # padded phoneme ids
Codes = list[int]
SpeakCodes = Callable[[Pieces, str], list[Codes]]  # pieces in a voice -> their codes


@dataclass(frozen=True, slots=True)
class Line:
    """A text and what is spoken of it."""

    text: str
    pieces: list[list[int]]


@dataclass(frozen=True, slots=True)
class Take:
    """A line as somebody said it, at 24 kHz, and how long each piece took in frames of 20 ms."""

    samples: Samples
    frames: list[int]


class Speaker(Protocol):
    """Says lines."""

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """One take for each line."""
        ...


def lines_of(phonemiser: Phonemiser, texts: Sequence[str]) -> list[Line]:
    """Texts as the service would read them."""
    return [
        Line(
            text,
            [
                piece.ids
                for sentence in phonemiser.sentences(text)
                for piece in phonemiser.pieces(sentence)
            ],
        )
        for text in texts
    ]


class TeacherSpeaker:
    """The teacher at its own pace; its breath follows from the line's number."""

    def __init__(self) -> None:
        self._teacher = Teacher()

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """One take for each line."""
        return [
            self._take(line, np.random.default_rng(number), voice)
            for number, line in enumerate(lines)
        ]

    def frames(self, line: Line) -> list[int]:
        """How long each piece lasts, in any voice."""
        return self._take(line, np.random.default_rng(0), VOICES[0]).frames

    def _take(self, line: Line, noise: np.random.Generator, voice: str) -> Take:
        spoken = [self._teacher.speak(ids, 1.0, noise, TIMBRES[voice]) for ids in line.pieces]
        samples = np.concatenate([piece.samples for piece in spoken])
        frames = [round(FRAMES_PER_UNIT * sum(piece.units)) for piece in spoken]
        return Take(samples.astype(np.float32) / FULL_SCALE, frames)


class CodecSpeaker:
    """The teacher heard through the codec."""

    def __init__(self, teacher: TeacherSpeaker, encoder: BuiltinEncoder, codec: EagerCodec) -> None:
        self._teacher, self._encoder, self._codec = teacher, encoder, codec

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """One take for each line, as long as the teacher's but for the last frame."""
        return [self._again(take) for take in self._teacher.speak(lines, voice)]

    def _again(self, take: Take) -> Take:
        (samples,) = self._codec.decode([CodeWindow(self._encoder.encode(take.samples))])
        return Take(samples[: len(take.samples)], take.frames)


class ModelSpeaker:
    """A token model, and the codec."""

    def __init__(self, speak_codes: SpeakCodes, codec: EagerCodec) -> None:
        self._speak_codes, self._codec = speak_codes, codec

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """One take for each line: the codes of its pieces decoded at once."""
        spoken = iter(self._speak_codes([ids for line in lines for ids in line.pieces], voice))
        return [self._take([next(spoken) for _ in line.pieces]) for line in lines]

    def _take(self, pieces: Sequence[Codes]) -> Take:
        codes = [code for piece in pieces for code in piece] or [0]
        (samples,) = self._codec.decode([CodeWindow(np.array(codes, np.int32)[:, None])])
        return Take(samples, [len(piece) for piece in pieces])


def limit_of(ids: Sequence[int]) -> int:
    """The frames after which the service takes a piece to be lost."""
    return longest_frames(Piece(list(ids), ends_sentence=True))


def sing(
    chorus: Chorus, pieces: Pieces, voice: str, temperature: float, seed: int
) -> Iterator[dict[int, int | None]]:
    """Speak pieces, as many at a time as there is room for; one that ends makes room for the next.

    Yields after each step the codes by the pieces' numbers; None where a piece ended.
    """
    waiting, singing, made = list(range(len(pieces)))[::-1], dict[int, int](), [0] * len(pieces)
    while waiting or singing:
        while waiting and not chorus.is_full:
            piece = waiting.pop()
            singing[chorus.join(pieces[piece], temperature, seed + piece, voice)] = piece
        codes = chorus.step()
        yield {singing[row]: code for row, code in codes.items()}
        for row, code in codes.items():
            piece = singing[row]
            made[piece] += 1
            if code is not None and made[piece] < limit_of(pieces[piece]):
                continue
            if code is not None:
                chorus.leave(row)
            del singing[row]


def speak_lm(
    model: LanguageModel, pieces: Pieces, voice: str, temperature: float, seed: int
) -> list[Codes]:
    """The language model, eight pieces at a time."""
    spoken: list[Codes] = [[] for _ in pieces]
    for codes in sing(Chorus(model, ROWS), pieces, voice, temperature, seed):
        for piece, code in codes.items():
            if code is not None:
                spoken[piece].append(code)
    return spoken


@torch.inference_mode()
def speak_nar(model: TokenModel, pieces: Pieces, voice: str) -> list[Codes]:
    """The one-pass model."""
    return [model(torch.tensor(padded(ids, voice)))[0].tolist() for ids in pieces]


def load_codec(weights: Path) -> EagerCodec:
    """A decoder from a file."""
    return builtin_codec(read_decoder(weights.read_bytes()), "cpu")


def load_speaker(name: str, weights: Weights, temperature: float, seed: int) -> Speaker:
    """By name: teacher, codec, lm-greedy, lm, nar. Raises FileNotFoundError where there are no weights."""
    if name == "teacher":
        return TeacherSpeaker()
    codec = load_codec(weights.decoder)
    if name == "codec":
        return CodecSpeaker(TeacherSpeaker(), load_encoder(weights.encoder), codec)
    if name == "nar":
        token_model = load_model(weights.token_model)
        return ModelSpeaker(lambda pieces, voice: speak_nar(token_model, pieces, voice), codec)
    model = read_language_model(weights.language_model.read_bytes())
    heat = temperature if name == "lm" else 0.0
    return ModelSpeaker(lambda pieces, voice: speak_lm(model, pieces, voice, heat, seed), codec)


SPEAKERS = ("teacher", "codec", "lm-greedy", "lm", "nar")
