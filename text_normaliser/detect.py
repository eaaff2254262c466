"""Detection of a sentence's language by script, and of English or Malay by words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from text_normaliser.frequent import ENGLISH, MALAY

Language = Literal["en", "ms", "zh", "ta"]
LanguageChoice = Literal["auto", Language]
Guess = Literal[Language, "other", "unknown"]
KNOWN: dict[Guess, Language] = {"en": "en", "ms": "ms", "zh": "zh", "ta": "ta"}

_TAMIL = re.compile(r"[\u0b80-\u0bff]")
_HAN = re.compile(
    r"[\u3001\u3002\uff01\uff0c\uff1f\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)
# Letters of scripts without rules, and of Vietnamese. The gaps are punctuation and emoji.
_OTHER = re.compile(
    r"(?!\d)[\u0370-\u0b7f\u0c00-\u1cff\u1ea0-\u1fff\u2c80-\u2dff\u2e80-\u2fff\u3040-\u30fa"
    r"\u30fc-\u33ff\ua000-\ua71f\ua800-\uaaff\uabc0-\ud7ff\ufb1d-\ufdff\ufe70-\ufefc"
    r"\U00010000-\U0001efff]"
)
_WORD = re.compile(r"(?<![\w/@.-])[A-Za-z]++(?:['’][a-z]++)?(?![\w/@])(?!\.\w)")
# Word forms of only one of the two languages. Few English words end in "kan" or "nya", but many
# Malay ones end in "ing".
_MALAY_FORM = re.compile(
    r"(?:me[mn]|meng|ber|ter|di|pe[mnrl]|peng|ke|se)[a-z]{3,}(?:kan|nya|an)"
    r"|[a-z]{3,}(?:nya|kan|lah)|ber[a-z]{4,}|me(?:ng|ny)[a-z]{3,}|men[cdijstu][a-z]{4,}"
    r"|mem[beip][a-z]{4,}|di[a-z]{4,}i|[a-z]{5,}an"
)
_ENGLISH_FORM = re.compile(
    r".*(?:th|ck|sh|wh|ee|oo[^r]|ll|ss|ff|[cv]e$|tion|ght|ew|ow|x|q"
    r"|[^aeiou]ly$|[^aeiou]ed$|'s$|'t$)"
)
_PLACE = re.compile(r"(?<![^\W_])[Kk]e-\d")  # ordinals such as ke-3


def languages(sentences: Iterable[str]) -> list[Language | None]:
    """Return the language of each sentence, None for a script without rules.

    A sentence without evidence ("OK.", "RM50", names) has the language of the one before it. At the
    beginning it has the language of the first sentence with evidence, or English.
    """
    guesses: list[Guess] = [guess(sentence) for sentence in sentences]
    known: list[Language] = [KNOWN[found] for found in guesses if found in KNOWN]
    last: Language = known[0] if known else "en"
    spoken: list[Language | None] = []
    for found in guesses:
        last = KNOWN.get(found, last)
        spoken.append(None if found == "other" else last)
    return spoken


def guess(sentence: str) -> Guess:
    """Return the language of a single sentence, "other" if a script without rules prevails."""
    if not sentence.isascii():
        latin = 4 * sum(not word.isupper() for word in _WORD.findall(sentence))
        letters: tuple[tuple[Guess, int], ...] = (
            ("zh", 4 * len(_HAN.findall(sentence))),  # each character counts as a word
            ("ta", len(_TAMIL.findall(sentence))),
            ("other", 4 * len(_OTHER.findall(sentence))),
        )
        most, weight = max(letters, key=lambda pair: pair[1])
        if weight > latin:
            return most
    return _by_words(sentence)


def _by_words(sentence: str) -> Guess:
    balance = sum(map(_leaning, _WORD.findall(sentence))) + 4 * bool(_PLACE.search(sentence))
    return "unknown" if not balance else "ms" if balance > 0 else "en"


def _leaning(word: str) -> int:
    """Return a positive weight for Malay, negative for English, twice as much for known words."""
    low = word.lower()
    if low in MALAY or low in ENGLISH:
        return 2 * ((low in MALAY) - (low in ENGLISH))
    if len(word) < 4 or word[1:] != low[1:]:
        return 0  # an acronym
    is_candidate = word == low or low.endswith(("nya", "kan", "an"))
    is_malay = is_candidate and bool(_MALAY_FORM.fullmatch(low))
    return is_malay - bool(word == low and _ENGLISH_FORM.match(low))
