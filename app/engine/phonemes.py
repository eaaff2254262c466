"""English text to phonemes, in the pieces the built-in token model can speak."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from hibari import Hibari  # pyright: ignore[reportMissingTypeStubs]
from hibari.g2p import G2P  # pyright: ignore[reportMissingTypeStubs]

from app.engine.pronunciations import PRONUNCIATIONS
from app.speech.normalise import read_english

# The model was trained on single sentences of 3 to 20 words: at most 178 phonemes, nearly all under 150.
PHONEME_LIMIT = 150
TEXT_LIMIT = 200  # characters; about 230 phonemes
# Reading a word takes time cubic in its parts ("aAaA…": 2 s for 300 characters, 51 s for 1,000),
# and the longest in common dictionaries has 45 letters.
WORD_LIMIT = 45
LONG_WORD = re.compile(rf"\S{{{WORD_LIMIT}}}(?=\S)")
CLAUSE = re.compile(r"[.!?…,;:—][\"”’)\]]*\s+")
SPACE = re.compile(r"\s+")
FULL_STOPS = ".!?…"
PAUSES = FULL_STOPS + ",;:—"
CLOSERS = '"”’)]'
STRESS = "ˈˌ"
LETTER_END = re.compile(r"(?<=\b[A-Z]\.) (?=[A-Z])")
LETTER_STOP = re.compile(r"(?<=\b[A-Z])\.")
# The slowest piece in the training speech takes 0.71 of this; one that is not done by then never will be.
FRAMES_PER_PHONEME, FRAMES_AT_LEAST = 5, 40
PAD = 0  # before and after every piece
DIGITS = frozenset({"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"})
INNER_PAUSES = frozenset(",;:—-(\"“'")
LETTER_NAMES = {"A": "ˈA", "I": "ˈI"}  # the two letters that are words as well


@dataclass(frozen=True, slots=True)
class Piece:
    """What the model speaks at once: phoneme ids, padded, and whether the sentence ends here."""

    ids: list[int]
    ends_sentence: bool

    @property
    def longest_frames(self) -> int:
        """When a language model is taken to be lost: at most 800 frames."""
        return FRAMES_PER_PHONEME * len(self.ids) + FRAMES_AT_LEAST


class _Word(Protocol):
    """A word as hibari's tokeniser cuts it; phonemes that are set already are kept."""

    text: str
    whitespace: str
    phonemes: str | None


class _Entries(Protocol):
    d: dict[str, object]  # phonemes by word


class _Lexicon(Protocol):
    golds: _Entries


class _SpeechRules(Protocol):
    """The lexicon, the tagger and the model for unknown words, as one reader of text."""

    lexicon: _Lexicon

    @property
    def oov(self) -> object: ...

    def tokenize(self, text: str) -> list[_Word]: ...

    def phonemize_tokens(self, tokens: list[_Word]) -> list[_Word]: ...


class Phonemiser:
    """Reads text with hibari-tts' grapheme-to-phoneme part; its synthesis is never loaded.

    Numbers, abbreviations and symbols are words before it reads them (`app.speech.normalise`): its own
    rules know no ringgit, and take the C of "class C" for a Roman hundred. Malaysian names come from
    `PRONUNCIATIONS`, and a letter on its own is its name.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = ids
        self._rules = cast(_SpeechRules, G2P())
        for word, phonemes in PRONUNCIATIONS.items():
            self._rules.lexicon.golds.d.update(
                {word: phonemes, word.lower(): phonemes, word.capitalize(): phonemes}
            )
        _ = self._rules.oov  # loaded on first use otherwise, 0.1 s into somebody's request

    def sentences(self, text: str) -> list[str]:
        """Text as words, split into sentences and long ones at clauses or words, of at most 200 characters."""
        legible = LONG_WORD.sub(r"\g<0> ", read_english("".join(map(_plain, text))))
        legible = LETTER_END.sub(
            "\n", legible
        )  # taken for an initial otherwise, but initials have no stop left
        sentences = cast(list[str], Hibari.split_sentences(legible))  # pyright: ignore[reportUnknownMemberType]
        return [piece for sentence in sentences for piece in split_evenly(sentence, TEXT_LIMIT)]

    def pieces(self, sentence: str) -> list[Piece]:
        """A sentence in phonemes; no piece where there is nothing to say."""
        phonemes = self._read(_closed(sentence.strip(), "."))
        if not any(symbol.isalpha() and symbol not in STRESS for symbol in phonemes):
            return []
        return [self._piece(part) for part in split_evenly(_closed(phonemes, "."), PHONEME_LIMIT)]

    def _read(self, sentence: str) -> str:
        """The phonemes of words, with a space where the text had one."""
        sentence = LETTER_STOP.sub(
            " .", sentence.replace("’", "'")
        )  # "M." is one word, and no pause, to the rules
        words = self._rules.tokenize(" ".join(sentence.split()))
        texts = [word.text for word in words]
        for index, word in enumerate(words):
            if word.text in LETTER_NAMES and is_letter(texts, index):
                word.phonemes = LETTER_NAMES[word.text]
        read = self._rules.phonemize_tokens(words)
        return (
            "".join(f"{word.phonemes or ''}{' ' if word.whitespace else ''}" for word in read)
            .strip()
            .replace(" .", ".")
        )

    def _piece(self, phonemes: str) -> Piece:
        ids = [self._ids[symbol] for symbol in phonemes if symbol in self._ids]
        return Piece([PAD, *ids, PAD], phonemes.rstrip(CLOSERS).endswith(tuple(FULL_STOPS)))


def is_letter(words: Sequence[str], index: int) -> bool:
    """Whether a capital A or I is a letter's name: beside another one, before digits, or inside a sentence.

    "A" stays the article where a sentence or a title's word begins with it, "I" the pronoun on its own.
    """
    before = words[index - 1] if index else "."
    behind = words[index + 1] if index + 1 < len(words) else "."
    if not behind[0].isalnum() and words[index] == "A":
        return True
    if _is_initial(before) or _is_initial(behind) or (words[index], behind) == ("A", "I"):
        return True
    if words[index] == "I":
        return False
    if behind in DIGITS:
        return before not in FULL_STOPS or (
            index + 2 < len(words) and words[index + 2] in {*DIGITS, ",", "."}
        )
    inside = before[0].isalnum() or before in INNER_PAUSES
    return inside and not (behind[0].isupper() and len(behind) > 1)


def _is_initial(word: str) -> bool:
    return len(word) == 1 and "A" <= word <= "Z" and word != "I"


def split_evenly(text: str, limit: int) -> list[str]:
    """Halve text until every piece fits, at the pause or else the space nearest the middle.

    A piece cut between words gets a comma: the model knows nothing that ends without a pause.
    """
    text = text.strip()
    if len(text) <= limit:
        return [text] if text else []
    cut = _middle(text)
    return [
        *split_evenly(_closed(text[:cut].strip(), ","), limit),
        *split_evenly(text[cut:], limit),
    ]


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
