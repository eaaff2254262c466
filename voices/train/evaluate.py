"""Judges a token model: `python -m voices.train.evaluate --engine lm`. Needs '.[judge]'.

The 50 everyday sentences of `bench/` (or others) are spoken; a recogniser writes down what it hears,
and lengths are held against the teacher's. Writes `evaluation-ENGINE.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load

from app.codec import CodeWindow
from app.codec.builtin import BuiltinCodec, Decoder, load_builtin_codec
from app.engine.lm import Chorus, LanguageModel, read_language_model
from app.engine.nar import FRAMES_PER_UNIT, TokenModel
from app.engine.phonemes import Phonemiser
from voices.train.folder import add_folder
from voices.train.teacher import Teacher, phoneme_table

SENTENCES = Path(__file__).parents[2] / "bench" / "sentences.txt"
ROWS = 8
TOLERANCE = 0.3  # of the teacher's length
# The teacher's slowest phonemes stay under this; a model that is not done by then will not be.
FRAMES_PER_PHONEME, FRAMES_AT_LEAST = 5, 40

Speak = Callable[[Sequence[list[int]]], list[list[int]]]  # padded phoneme ids of pieces -> their codes


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the model spoke for each piece, in frames, and how long the teacher."""

    model: list[int]
    teacher: list[int]
    limit: list[int]

    def report(self) -> dict[str, float]:
        """Shares of pieces within 30 % of the teacher's length, and pieces that never ended."""
        ratios = np.array(self.model) / np.array(self.teacher)
        return {
            "pieces": len(ratios),
            "length_ratio_mean": round(float(ratios.mean()), 3),
            "length_within_30_percent": round(float((np.abs(ratios - 1) <= TOLERANCE).mean()), 3),
            "run_on": sum(made >= most for made, most in zip(self.model, self.limit, strict=True)),
        }


def limit_of(ids: Sequence[int]) -> int:
    """The most frames for a piece."""
    return FRAMES_PER_PHONEME * len(ids) + FRAMES_AT_LEAST


def speak_lm(model: LanguageModel, pieces: Sequence[list[int]], temperature: float, seed: int) -> list[list[int]]:
    """Eight pieces at a time; one that ends makes room for the next."""
    chorus, waiting = Chorus(model, ROWS), list(range(len(pieces)))[::-1]
    spoken: list[list[int]] = [[] for _ in pieces]
    who: dict[int, int] = {}
    while waiting or who:
        while waiting and not chorus.is_full:
            piece = waiting.pop()
            who[chorus.join(pieces[piece], temperature, seed + piece)] = piece
        for row, code in chorus.step().items():
            piece = who[row]
            if code is not None:
                spoken[piece].append(code)
                if len(spoken[piece]) < limit_of(pieces[piece]):
                    continue
                chorus.leave(row)
            del who[row]
    return spoken


@torch.inference_mode()
def speak_nar(model: TokenModel, pieces: Sequence[list[int]]) -> list[list[int]]:
    """One pass each."""
    return [model(torch.tensor(ids))[0].tolist() for ids in pieces]


def load_speak(options: argparse.Namespace) -> Speak:
    """The engine that the options ask for."""
    if options.engine == "lm":
        language_model = read_language_model((options.data / "lm" / "language_model.safetensors").read_bytes())
        return lambda pieces: speak_lm(language_model, pieces, options.temperature, options.seed)
    model = TokenModel()
    model.load_state_dict(load((options.data / "nar" / "token_model.safetensors").read_bytes()))
    model.float().eval()
    return lambda pieces: speak_nar(model, pieces)


def load_codec(weights: Path) -> BuiltinCodec:
    """The decoder in a file of weights, or the service's own where there is none."""
    if not weights.exists():
        return load_builtin_codec(device="cpu")
    decoder = Decoder()
    decoder.load_state_dict(load(weights.read_bytes()))
    return BuiltinCodec(decoder.float().eval(), torch.device("cpu"))


def compare_lengths(pieces: Sequence[list[int]], spoken: Sequence[list[int]]) -> Lengths:
    """Against the teacher at its own pace."""
    teacher, noise = Teacher(), np.random.default_rng(0)
    units = [sum(teacher.speak(ids, 1.0, noise).units) for ids in pieces]
    frames = [round(FRAMES_PER_UNIT * count) for count in units]
    return Lengths([len(codes) for codes in spoken], frames, [limit_of(ids) for ids in pieces])


def listen(codec: BuiltinCodec, texts: Sequence[str], spoken: Sequence[list[int]]) -> dict[str, object]:
    """What the judge heard."""
    from bench.judge import Judge, normalise, word_error_rate  # noqa: PLC0415 - an extra that lengths do not need

    judge = Judge()
    windows = [CodeWindow(np.array(codes or [0], np.int32)[:, None]) for codes in spoken]
    sounds = [codec.decode([window])[0] for window in windows]
    heard = [judge.transcribe(sound, codec.spec.sample_rate_hz) for sound in sounds]
    wrong = [
        {"text": text, "heard": ear}
        for text, ear in zip(texts, heard, strict=True)
        if normalise(text) != normalise(ear)
    ]
    return {"word_error_rate": round(word_error_rate(list(texts), heard), 4), "misheard": wrong}


def evaluate(speak: Speak, codec: BuiltinCodec, texts: Sequence[str], *, judge: bool) -> dict[str, object]:
    """Speak all, then measure."""
    phonemiser = Phonemiser(phoneme_table())
    pieces = [
        [piece.ids for sentence in phonemiser.sentences(text) for piece in phonemiser.pieces(sentence)]
        for text in texts
    ]
    flat = [ids for of_text in pieces for ids in of_text]
    spoken = speak(flat)
    result: dict[str, object] = {"sentences": len(texts), **compare_lengths(flat, spoken).report()}
    if judge:
        remaining = iter(spoken)
        whole = [[code for _ in of_text for code in next(remaining)] for of_text in pieces]
        result |= listen(codec, texts, whole)
    return result


def main(arguments: list[str] | None = None) -> None:
    """Judge, print, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_folder(parser)
    parser.add_argument("--engine", choices=("lm", "nar"), default="lm")
    parser.add_argument("--temperature", type=float, default=0.0, help="0: the likeliest code each time")
    parser.add_argument("--sentences", type=Path, default=SENTENCES, help="one a line")
    parser.add_argument("--lengths-only", action="store_true", help="without the recogniser")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    codec = load_codec(options.data / "codec" / "codec_decoder.safetensors")
    texts = options.sentences.read_text().splitlines()
    result = evaluate(load_speak(options), codec, texts, judge=not options.lengths_only)
    result = {"engine": options.engine, "temperature": options.temperature, **result}
    text = json.dumps(result, indent=2)
    (options.data / f"evaluation-{options.engine}.json").write_text(text + "\n")
    print(text, flush=True)


if __name__ == "__main__":
    main()
