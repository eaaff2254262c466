"""Rules for short forms: titles, abbreviations, initials, acronyms, Roman numerals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from text_normaliser.money import either
from text_normaliser.numbers import Numbers
from text_normaliser.reader import Rule, rule, text_after, text_before

ROMAN = re.compile(r"X{0,3}(?:IX|IV|V?I{0,3})")
VALUES = {"I": 1, "V": 5, "X": 10}
VOWEL = re.compile("[AEIOUYaeiouy]")
NO_VOWEL = re.compile(r"[B-DF-HJ-NP-TV-XZ]+")
BANK = re.compile(r"\b(?:SWIFT|BIC)\b")  # precedes a bank code such as MBBEMYKL
CONTEXT = 40  # characters of context before or after a match


@dataclass(frozen=True, slots=True)
class ShortForms:
    """A language's short forms with their spoken forms."""

    titles: Mapping[str, str]  # before a name, with or without a full stop
    before_number: Mapping[str, str]  # before a number, with or without a full stop
    dotted: Mapping[str, str]  # with a full stop, or without one if they have no vowel
    fixed: Mapping[str, str]  # matched exactly as written
    spelt: frozenset[str]  # acronyms that are spelt although they look like words
    sentence_starts: frozenset[str]  # a full stop before one of these words ends a sentence
    numbered: frozenset[str]  # words before a cardinal Roman numeral: Chapter IV
    regnal_names: frozenset[str]  # names before an ordinal Roman numeral: Henry VIII
    bare: Mapping[str, str]  # without a full stop, although they look like words: utk

    @property
    def prose_like(self) -> str:
        """Pattern of the short forms that look like prose: titles with a vowel, and `bare`."""
        titles = either(title for title in self.titles if VOWEL.search(title) and title.isalpha())
        return rf"(?:(?:{either(self.bare)})(?![^\W_])|(?:{titles}) (?=[A-Z]))"


class Abbreviations:
    """Rules for a language's short forms."""

    def __init__(self, short: ShortForms, numbers: Numbers, ordinal: str) -> None:
        self._short = short
        self._numbers = numbers
        self._ordinal = ordinal
        without_vowel = either(
            word for word in short.dotted if not re.search(r"[aeiouyAEIOU.]", word)
        )
        self.before_numbers: tuple[Rule, ...] = (
            rule(
                "l",
                rf"(?P<short>{either(short.before_number)})\.? ?(?=[#+(]?\d|[A-Z][A-Z-]{{0,6}}\d)",
                self._before_number,
            ),
            rule("l", rf"(?P<short>{either(short.fixed)})(?![^\W_])", self._fixed),
            rule(
                "l",
                r"[b-df-hj-np-tv-xz]{1,3}(?=\d{1,4}(?![^\W_]))",
                lambda found: _spelt(found.group()),
            ),
        )
        self.rules: tuple[Rule, ...] = (
            rule("l", rf"(?P<short>{either(short.titles)})\.? (?=[A-Z]|and |or |& )", self._title),
            rule("l", rf"(?P<short>{either(short.dotted)})\.(?!\w)", self._dotted),
            rule("l", rf"(?P<short>{without_vowel})(?![^\W_.])", self._dotted),
            rule(
                "l",
                rf"(?P<short>{either(short.bare)})(?![^\W_])",
                lambda found: short.bare[found["short"]],
            ),
            rule("l", r"(?:[A-Za-z]\.){2,10}(?![^\W_])", self._initials),
            rule("l", r"(?P<letter>[A-Z])\. (?=(?P<next>[A-Z]\.|[A-Z][a-z]++))", self._initial),
            rule("l", r"(?P<numeral>[IVX]{1,7})(?![^\W_]|[.'’-]\w)", self._roman),
            rule("l", r"[A-Z]{1,4}(?:&[A-Z]{1,4}){1,3}s?(?![^\W_])", self._joined),
            rule("l", r"(?P<letters>[A-Z]{2,8})(?P<many>'?s)?(?![^\W_])", self._acronym),
        )

    def _before_number(self, found: re.Match[str]) -> str:
        return self._short.before_number[found["short"]]

    def _fixed(self, found: re.Match[str]) -> str:
        return self._short.fixed[found["short"]]

    def _title(self, found: re.Match[str]) -> str:
        return self._short.titles[found["short"]] + " "

    def _dotted(self, found: re.Match[str]) -> str:
        spoken = self._short.dotted[found["short"]]
        return spoken + "." if found.group().endswith(".") and self._ends(found) else spoken

    def _initials(self, found: re.Match[str]) -> str | None:
        """Read U.S.A. and J.K., in lower case only a pair such as a.m."""
        if not found.group().isupper() and len(found.group()) > 4:
            return None
        return _spelt(found.group()) + ("." if self._ends(found) else "")

    def _initial(self, found: re.Match[str]) -> str | None:
        """Read J. Tan, but not the end of "Plan B. It works"."""
        return None if found["next"] in self._short.sentence_starts else f"{found['letter']} "

    def _ends(self, found: re.Match[str]) -> bool:
        """True if the full stop of the match also ends the sentence."""
        after = text_after(found, CONTEXT).lstrip("\"'”’) ")
        return not after or after.partition(" ")[0].rstrip(",.!?") in self._short.sentence_starts

    def _roman(self, found: re.Match[str]) -> str | None:
        numeral = found["numeral"]
        before = re.search(r"(\w+) $", text_before(found, CONTEXT))
        if not before or not ROMAN.fullmatch(numeral):
            return None
        if before[1] in self._short.numbered:
            return self._numbers.cardinal(str(_value(numeral)))
        if before[1] in self._short.regnal_names and numeral != "I":
            return self._ordinal.format(self._numbers.ordinal(str(_value(numeral))))
        return None

    def _joined(self, found: re.Match[str]) -> str:
        text = found.group()
        many = "s" if text.endswith("s") else ""
        names = map(_spelt, text.removesuffix("s").split("&"))
        return f" {self._short.fixed['&']} ".join(names) + many

    def _acronym(self, found: re.Match[str]) -> str | None:
        """Spell an acronym that is listed or has no vowel."""
        letters, many = found["letters"], found["many"]
        before = text_before(found, CONTEXT)
        if len(letters) == 8 and BANK.search(before):
            return _spelt(letters)
        is_unpronounceable = NO_VOWEL.fullmatch(letters) and len(letters) < 6
        if letters not in self._short.spelt and not is_unpronounceable:
            return None
        return _spelt(letters) + ("'s" if many else "")


def _spelt(text: str) -> str:
    return " ".join(character.upper() for character in text if character.isalpha())


def _value(numeral: str) -> int:
    values = [VALUES[letter] for letter in numeral]
    pairs = zip(values, [*values[1:], 0], strict=True)
    return sum(-one if one < other else one for one, other in pairs)
