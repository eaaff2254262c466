"""English text to phonemes, in chunks that fit the built-in models."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from hibari import Hibari  # pyright: ignore[reportMissingTypeStubs]
from hibari.g2p import G2P  # pyright: ignore[reportMissingTypeStubs]

from app.engine.embedded.malaysian_names import PRONUNCIATIONS
from text_normaliser import read_english

# Phonemes of a chunk. The models were trained on single sentences of 3 to 20 words, which have at
# most 178 phonemes and nearly all fewer than 150.
PHONEME_LIMIT = 150
TEXT_LIMIT = 200  # characters of a sentence, about 230 phonemes
# Characters of a word. The longest word in common dictionaries has 45 letters. hibari takes time
# cubic in a word's parts ("aAaA…": 2 s for 300 characters, 51 s for 1,000).
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
# Frame limit of a chunk: frames for each phoneme, plus a constant. The slowest chunk of the
# training speech takes 0.71 of it. A language model that reaches it does not end.
FRAMES_PER_PHONEME = 5
EXTRA_FRAMES = 40
PAD = 0  # phoneme id before and after each chunk
DIGITS = frozenset({"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"})
INNER_PAUSES = frozenset(",;:—-(\"“'")
LETTER_NAMES = {"A": "ˈA", "I": "ˈI"}  # names of the two letters that are also words


@dataclass(frozen=True, slots=True)
class PhonemeChunk:
    """One chunk for the model: phoneme ids with pads. `ends_sentence`: a sentence ends here."""

    ids: list[int]
    ends_sentence: bool

    @property
    def max_frames(self) -> int:
        """Frames after which a language model is taken not to end; at most 800."""
        return FRAMES_PER_PHONEME * len(self.ids) + EXTRA_FRAMES


class _Word(Protocol):
    """A token of hibari. Its rules keep phonemes that are already set."""

    text: str
    whitespace: str
    phonemes: str | None


class _Entries(Protocol):
    d: dict[str, object]  # word to phonemes


class _Lexicon(Protocol):
    golds: _Entries


class _SpeechRules(Protocol):
    """hibari's grapheme-to-phoneme part: lexicon, tagger, and model for unknown words."""

    lexicon: _Lexicon

    @property
    def oov(self) -> object: ...

    def tokenize(self, text: str) -> list[_Word]: ...

    def phonemize_tokens(self, tokens: list[_Word]) -> list[_Word]: ...


class Phonemiser:
    """Converts text with hibari-tts' grapheme-to-phoneme part, without loading its synthesis.

    Numbers, abbreviations and symbols are first normalised to words (`text_normaliser`),
    because hibari's own rules do not know ringgit, and read the C of "class C" as the Roman
    numeral 100. `PRONUNCIATIONS` has Malaysian names. A single letter is spoken as its name.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = ids
        self._rules = cast(_SpeechRules, G2P())
        for word, phonemes in PRONUNCIATIONS.items():
            self._rules.lexicon.golds.d.update(
                {word: phonemes, word.lower(): phonemes, word.capitalize(): phonemes}
            )
        _ = self._rules.oov  # loads it now: its first use would delay a request by 0.1 s

    def sentences(self, text: str) -> list[str]:
        """Normalise text and split it into sentences of at most 200 characters.

        Longer sentences are split between clauses or words.
        """
        words = LONG_WORD.sub(r"\g<0> ", read_english("".join(map(_replace_unsupported, text))))
        # hibari takes a letter with a full stop for an initial, and does not split there. But the
        # normaliser has removed the stops of initials.
        words = LETTER_END.sub("\n", words)
        sentences = cast(list[str], Hibari.split_sentences(words))  # pyright: ignore[reportUnknownMemberType]
        return [piece for sentence in sentences for piece in split_evenly(sentence, TEXT_LIMIT)]

    def chunks(self, sentence: str) -> list[PhonemeChunk]:
        """Convert a sentence to chunks of phonemes; none if it has no letter or digit to speak."""
        phonemes = self._phonemes(_ending_in_pause(sentence.strip(), "."))
        if not any(symbol.isalpha() and symbol not in STRESS for symbol in phonemes):
            return []
        phonemes = _ending_in_pause(phonemes, ".")
        return [self._chunk(part) for part in split_evenly(phonemes, PHONEME_LIMIT)]

    def _phonemes(self, sentence: str) -> str:
        """Convert words to phonemes, with the spaces of the text."""
        # Separates the full stop from a letter: hibari reads "M." as one word without a pause.
        sentence = LETTER_STOP.sub(" .", sentence.replace("’", "'"))
        words = self._rules.tokenize(" ".join(sentence.split()))
        texts = [word.text for word in words]
        for index, word in enumerate(words):
            if word.text in LETTER_NAMES and is_letter(texts, index):
                word.phonemes = LETTER_NAMES[word.text]
        read = self._rules.phonemize_tokens(words)
        spaced = [(word.phonemes or "") + (" " if word.whitespace else "") for word in read]
        return "".join(spaced).strip().replace(" .", ".")

    def _chunk(self, phonemes: str) -> PhonemeChunk:
        ids = [self._ids[symbol] for symbol in phonemes if symbol in self._ids]
        return PhonemeChunk([PAD, *ids, PAD], phonemes.rstrip(CLOSERS).endswith(tuple(FULL_STOPS)))


def is_letter(words: Sequence[str], index: int) -> bool:
    """True if a capital A or I is a letter's name and not a word.

    Both are names beside another letter. A is also a name before a pause, before a digit, and
    inside a sentence. It is the article at the start of a sentence or before a capitalised word.
    """
    before = words[index - 1] if index else "."
    after = words[index + 1] if index + 1 < len(words) else "."
    if not after[0].isalnum() and words[index] == "A":
        return True
    if _is_initial(before) or _is_initial(after) or (words[index], after) == ("A", "I"):
        return True
    if words[index] == "I":
        return False
    if after in DIGITS:
        return before not in FULL_STOPS or (
            index + 2 < len(words) and words[index + 2] in {*DIGITS, ",", "."}
        )
    inside = before[0].isalnum() or before in INNER_PAUSES
    return inside and not (after[0].isupper() and len(after) > 1)


def _is_initial(word: str) -> bool:
    return len(word) == 1 and "A" <= word <= "Z" and word != "I"


def split_evenly(text: str, limit: int) -> list[str]:
    """Halve text until each part fits, at the pause or else the space nearest the middle.

    A part that ends between words gets a comma, because the models were trained on speech that ends
    in a pause.
    """
    text = text.strip()
    if len(text) <= limit:
        return [text] if text else []
    cut = _middle(text)
    return [
        *split_evenly(_ending_in_pause(text[:cut].strip(), ","), limit),
        *split_evenly(text[cut:], limit),
    ]


def _middle(text: str) -> int:
    """Return the index to split at, in the second or third quarter, so that no part is short."""
    size = len(text)
    for mark in (CLAUSE, SPACE):
        cuts = [found.end() for found in mark.finditer(text) if size <= 4 * found.end() <= 3 * size]
        if cuts:
            return min(cuts, key=lambda cut: abs(2 * cut - size))
    return size // 2


def _ending_in_pause(text: str, mark: str) -> str:
    """Return the text, with `mark` appended unless it ends in a pause."""
    return text if text.rstrip(CLOSERS).endswith(tuple(PAUSES)) else text + mark


def _replace_unsupported(symbol: str) -> str:
    """Replace a character on which hibari's rules fail: İ, and digits such as ① and ⁴."""
    if symbol == "İ":  # its lower case has two characters, unlike that of any other letter
        return "I"
    if symbol.isdigit() and not symbol.isdecimal() and symbol not in "²³":
        return str(unicodedata.digit(symbol))
    return symbol
