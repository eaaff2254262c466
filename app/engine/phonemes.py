"""English text to phonemes, in the pieces the built-in token model can speak."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from hibari import Hibari  # pyright: ignore[reportMissingTypeStubs]
from hibari.g2p import G2P  # pyright: ignore[reportMissingTypeStubs]

# The model was trained on single sentences of 3 to 20 words: at most 178 phonemes, nearly all under 150.
PHONEME_LIMIT = 150
TEXT_LIMIT = 200  # characters; about 230 phonemes
# Reading a word takes time cubic in its parts ("aAaA…": 2 s for 300 characters, 51 s for 1,000),
# and the longest in common dictionaries has 45 letters.
WORD_LIMIT = 45
# Number names end at the decillions; past 15 digits nobody says the number as one anyway.
LONG_NUMBER = re.compile(r"(?:\d[,.]?){15,}\d")
LONG_WORD = re.compile(rf"\S{{{WORD_LIMIT}}}(?=\S)")
CLAUSE = re.compile(r"[.!?…,;:—][\"”’)\]]*\s+")
SPACE = re.compile(r"\s+")
FULL_STOPS = ".!?…"
PAUSES = FULL_STOPS + ",;:—"
CLOSERS = '"”’)]'
STRESS = "ˈˌ"
PAD = 0  # before and after every piece


@dataclass(frozen=True, slots=True)
class Piece:
    """What the model speaks at once: phoneme ids, padded, and whether the sentence ends here."""

    ids: list[int]
    ends_sentence: bool


class _SpeechRules(Protocol):
    """The lexicon, the tagger and the model for unknown words, as one reader of text."""

    @property
    def oov(self) -> object: ...

    def __call__(self, text: str) -> str: ...


class Phonemiser:
    """Reads text with hibari-tts' grapheme-to-phoneme part; its synthesis is never loaded."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = ids
        self._rules = cast(_SpeechRules, G2P())
        _ = self._rules.oov  # loaded on first use otherwise, 0.1 s into somebody's request

    def sentences(self, text: str) -> list[str]:
        """Split text into sentences, and long sentences at clauses or words, of at most 200 characters."""
        legible = LONG_WORD.sub(r"\g<0> ", LONG_NUMBER.sub(_spell, "".join(map(_plain, text))))
        sentences = cast(list[str], Hibari.split_sentences(legible))  # pyright: ignore[reportUnknownMemberType]
        return [piece for sentence in sentences for piece in split_evenly(sentence, TEXT_LIMIT)]

    def pieces(self, sentence: str) -> list[Piece]:
        """A sentence in phonemes; no piece where there is nothing to say."""
        phonemes = self._rules(_closed(sentence.strip(), "."))  # an "A" without its stop is read as the article
        if not any(symbol.isalpha() and symbol not in STRESS for symbol in phonemes):
            return []
        return [self._piece(part) for part in split_evenly(_closed(phonemes, "."), PHONEME_LIMIT)]

    def _piece(self, phonemes: str) -> Piece:
        ids = [self._ids[symbol] for symbol in phonemes if symbol in self._ids]
        return Piece([PAD, *ids, PAD], phonemes.rstrip(CLOSERS).endswith(tuple(FULL_STOPS)))


def split_evenly(text: str, limit: int) -> list[str]:
    """Halve text until every piece fits, at the pause or else the space nearest the middle.

    A piece cut between words gets a comma: the model knows nothing that ends without a pause.
    """
    text = text.strip()
    if len(text) <= limit:
        return [text] if text else []
    cut = _middle(text)
    return [*split_evenly(_closed(text[:cut].strip(), ","), limit), *split_evenly(text[cut:], limit)]


def _middle(text: str) -> int:
    """Where to cut: in the second or third quarter, so that no piece becomes a stump."""
    size = len(text)
    for mark in (CLAUSE, SPACE):
        cuts = [found.end() for found in mark.finditer(text) if size <= 4 * found.end() <= 3 * size]
        if cuts:
            return min(cuts, key=lambda cut: abs(2 * cut - size))
    return size // 2


def _closed(text: str, mark: str) -> str:
    """Text that ends in a pause: its own, or `mark`."""
    return text if text.rstrip(CLOSERS).endswith(tuple(PAUSES)) else text + mark


def _plain(symbol: str) -> str:
    """A character that hibari's rules can take: they fail on ①, ⁴ and the like, and on İ."""
    if symbol == "İ":  # the one letter whose lower case is two characters
        return "I"
    if symbol.isdigit() and not symbol.isdecimal() and symbol not in "²³":
        return str(unicodedata.digit(symbol))
    return symbol


def _spell(number: re.Match[str]) -> str:
    """A number too long to name, digit by digit."""
    return " ".join(symbol for symbol in number.group() if symbol.isdecimal())
