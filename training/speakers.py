"""Speakers that are measured: teacher, codec with the teacher's speech, token models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import torch
from transformers import Qwen3ForCausalLM

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.eager import EagerCodec
from app.engine.embedded.nar import FRAMES_PER_UNIT
from app.engine.embedded.phonemes import PhonemeChunk, Phonemiser
from app.engine.embedded.voices import VOICES, add_voice_pads
from training.cast import TIMBRES
from training.codec_encoder import BuiltinEncoder
from training.encode import load_encoder
from training.export import expand
from training.language_model import (
    FIRST_CODE,
    MAX_TOKENS,
    MESSAGE_END,
    build_prompt,
    read_language_model,
)
from training.networks.codec_decoder import read_decoder, torch_codec
from training.networks.token_model import TokenModel, read_token_model
from training.teacher import Teacher
from training.weight_files import Weights

ROWS = 8
FULL_SCALE = np.float32(32768)

Chunks = Sequence[list[int]]  # padded phoneme ids of chunks
Codes = list[int]
SpeakCodes = Callable[[Chunks, str], list[Codes]]  # chunks and a voice to codes


@dataclass(frozen=True, slots=True)
class Line:
    """A text and its chunks of phoneme ids."""

    text: str
    chunks: list[list[int]]


@dataclass(frozen=True, slots=True)
class Take:
    """A spoken line at 24 kHz, and the length of each chunk in frames of 20 ms."""

    samples: Samples
    frames: list[int]


class Speaker(Protocol):
    """Speaks lines."""

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """Return one take for each line."""
        ...


def phonemise_lines(phonemiser: Phonemiser, texts: Sequence[str]) -> list[Line]:
    """Phonemise texts as the service does."""
    return [
        Line(
            text,
            [
                chunk.ids
                for sentence in phonemiser.sentences(text)
                for chunk in phonemiser.chunks(sentence)
            ],
        )
        for text in texts
    ]


class TeacherSpeaker:
    """The teacher at its own pace. The line's number is the seed of the noise in its voice."""

    def __init__(self) -> None:
        self._teacher = Teacher()

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """Return one take for each line."""
        return [
            self._take(line, np.random.default_rng(number), voice)
            for number, line in enumerate(lines)
        ]

    def frames(self, line: Line) -> list[int]:
        """Return the length of each chunk, which is the same in all voices."""
        return self._take(line, np.random.default_rng(0), VOICES[0]).frames

    def _take(self, line: Line, noise: np.random.Generator, voice: str) -> Take:
        spoken = [self._teacher.speak(ids, 1.0, noise, TIMBRES[voice]) for ids in line.chunks]
        samples = np.concatenate([chunk.samples for chunk in spoken])
        frames = [round(FRAMES_PER_UNIT * sum(chunk.units)) for chunk in spoken]
        return Take(samples.astype(np.float32) / FULL_SCALE, frames)


class CodecSpeaker:
    """The teacher's speech, encoded and decoded."""

    def __init__(self, teacher: TeacherSpeaker, encoder: BuiltinEncoder, codec: EagerCodec) -> None:
        self._teacher = teacher
        self._encoder = encoder
        self._codec = codec

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """Return one take for each line, as long as the teacher's."""
        return [self._again(take) for take in self._teacher.speak(lines, voice)]

    def _again(self, take: Take) -> Take:
        (samples,) = self._codec.decode([CodeWindow(self._encoder.encode(take.samples))])
        return Take(samples[: len(take.samples)], take.frames)


class ModelSpeaker:
    """A token model with the codec."""

    def __init__(self, speak_codes: SpeakCodes, codec: EagerCodec) -> None:
        self._speak_codes, self._codec = speak_codes, codec

    def speak(self, lines: Sequence[Line], voice: str) -> list[Take]:
        """Return one take for each line. The codes of its chunks are decoded together."""
        spoken = iter(self._speak_codes([ids for line in lines for ids in line.chunks], voice))
        return [self._take([next(spoken) for _ in line.chunks]) for line in lines]

    def _take(self, chunks: Sequence[Codes]) -> Take:
        codes = [code for chunk in chunks for code in chunk] or [0]
        (samples,) = self._codec.decode([CodeWindow(np.array(codes, np.int32)[:, None])])
        return Take(samples, [len(chunk) for chunk in chunks])


def max_frames(ids: Sequence[int]) -> int:
    """Return the number of frames after which a chunk counts as endless."""
    chunk = PhonemeChunk(list(ids), ends_sentence=True)
    return min(chunk.max_frames, MAX_TOKENS - len(ids) - 1)


def speak_lm(
    model: Qwen3ForCausalLM, chunks: Chunks, voice: str, temperature: float, seed: int
) -> list[Codes]:
    """Generate codes with the exported language model; temperature 0 is greedy."""
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
    batches = [chunks[start : start + ROWS] for start in range(0, len(chunks), ROWS)]
    return [codes for batch in batches for codes in _generate(model, batch, voice, temperature)]


def _generate(
    model: Qwen3ForCausalLM, chunks: Chunks, voice: str, temperature: float
) -> Iterator[Codes]:
    """Generate one batch, padded on the left; any token that is not a code ends its chunk."""
    prompts = [build_prompt(ids, voice) for ids in chunks]
    limits = [max_frames(ids) for ids in chunks]
    steps = max(map(len, prompts))
    padded = [[MESSAGE_END] * (steps - len(prompt)) + prompt for prompt in prompts]
    mask = [[0] * (steps - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    sampling = {"temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    generate = cast(Callable[..., torch.Tensor], model.generate)  # pyright: ignore
    rows = generate(
        torch.tensor(padded),
        attention_mask=torch.tensor(mask),
        max_new_tokens=max(limits),
        do_sample=temperature > 0,
        **sampling,
    )
    answers = cast(list[list[int]], rows[:, steps:].tolist())  # pyright: ignore[reportUnknownMemberType]
    for answer, limit in zip(answers, limits, strict=True):
        codes = takewhile(lambda token: token >= FIRST_CODE, answer[:limit])
        yield [token - FIRST_CODE for token in codes]


@torch.inference_mode()
def speak_nar(model: TokenModel, chunks: Chunks, voice: str) -> list[Codes]:
    """Generate codes with the one-pass model."""
    return [model(torch.tensor(add_voice_pads(ids, voice)))[0].tolist() for ids in chunks]


def load_codec(weights: Path) -> EagerCodec:
    """Load a decoder from a file."""
    return torch_codec(read_decoder(weights.read_bytes()))


def load_speaker(name: str, weights: Weights, temperature: float, seed: int) -> Speaker:
    """Load a speaker by its name in `SPEAKERS`.

    Raises:
        FileNotFoundError: a weights file does not exist.
    """
    if name == "teacher":
        return TeacherSpeaker()
    codec = load_codec(weights.decoder)
    if name == "codec":
        return CodecSpeaker(TeacherSpeaker(), load_encoder(weights.encoder), codec)
    if name == "nar":
        token_model = read_token_model(weights.token_model.read_bytes())
        return ModelSpeaker(lambda chunks, voice: speak_nar(token_model, chunks, voice), codec)
    model = expand(read_language_model(weights.language_model.read_bytes()))
    heat = temperature if name == "lm" else 0.0
    return ModelSpeaker(lambda chunks, voice: speak_lm(model, chunks, voice, heat, seed), codec)


SPEAKERS = ("teacher", "codec", "lm-greedy", "lm", "nar")
