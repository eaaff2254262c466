"""Text normalisation: numbers, money, dates, addresses and abbreviations written as words."""

from __future__ import annotations

from collections.abc import Callable

from text_normaliser import english, malay, mandarin, tamil
from text_normaliser.detect import Language, LanguageChoice, languages
from text_normaliser.reader import Reader
from text_normaliser.segmenter import sentences
from text_normaliser.unspaced import UnspacedReader

READERS: dict[Language, Callable[[], Reader | UnspacedReader]] = {
    "en": english.reader,
    "ms": malay.reader,
    "zh": mandarin.reader,
    "ta": tamil.reader,
}


def normalise(text: str, language: LanguageChoice = "auto") -> str:
    """Return the text in spoken form, by the rules of `language` or of each sentence's language.

    Text that no rule matches stays, and so do sentences in other scripts. Prose without digits,
    symbols and abbreviations is returned unchanged. Spelt letters become capitals separated by
    spaces, digits become words, and commas mark pauses. Never raises, takes linear time.
    """
    if language != "auto":
        return READERS[language]().read(text)
    pieces = sentences(text)
    guessed = languages(pieces)
    if len(set(guessed)) == 1:  # returns prose as the same object
        return _read(text, guessed[0])
    runs: list[tuple[Language | None, str]] = []
    for found, piece in zip(guessed, pieces, strict=True):
        before = runs.pop()[1] if runs and runs[-1][0] == found else ""
        runs.append((found, before + piece))
    return "".join(_normalise_run(run, found) for found, run in runs)


def _read(text: str, language: Language | None) -> str:
    return READERS[language]().read(text) if language else text


def _normalise_run(run: str, language: Language | None) -> str:
    """Read a run of sentences in one language, keeping the whitespace that the reader strips."""
    words = run.strip()
    return run.replace(words, _read(words, language), 1) if words else run


def read_english(text: str) -> str:
    """Read any text as English, for a voice that speaks no other language."""
    return english.reader().read(text)
