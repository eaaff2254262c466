"""Numbers in words: cardinals and ordinals by a speller (CLDR's where it is right), digits one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from types import MappingProxyType

from unicode_rbnf import FormatPurpose, RbnfEngine
from unicode_rbnf.engine import RbnfError

LONGEST = 15  # digits: CLDR names no scale beyond the quadrillion, nor does a listener follow one
WHOLE = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)"
NUMBER = rf"{WHOLE}(?:\.\d++)?"
Spell = Callable[[int], str | None]


@dataclass(frozen=True, slots=True)
class Speller:
    """The words for a whole number of at most `LONGEST` digits; None where the language has none."""

    cardinal: Spell
    ordinal: Spell


class Numbers:
    """How a language says numbers. `digits` are its names of 0 to 9, `point` that of the decimal sign.

    `gap` stands between digits, `counting` holds the numbers that are other words before what they count.
    """

    def __init__(
        self,
        speller: Speller,
        digits: tuple[str, ...],
        point: str,
        *,
        gap: str = " ",
        counting: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._speller, self._digits, self._point, self._gap = speller, digits, point, gap
        self._counting = counting

    def cardinal(self, digits: str) -> str:
        """A whole number, written with or without separators; digit by digit where it is too long to name."""
        return self._named(digits, self._speller.cardinal)

    def ordinal(self, digits: str) -> str:
        """The place in a row: first, twenty first."""
        return self._named(digits, self._speller.ordinal)

    def _named(self, digits: str, spell: Spell) -> str:
        digits = digits.replace(",", "")
        return (spell(int(digits)) if len(digits) <= LONGEST else None) or self.grouped(digits)

    def number(self, text: str) -> str:
        """A number that may have decimals: one thousand two hundred fifty point five zero."""
        whole, point, decimals = text.partition(".")
        words = self.cardinal(whole or "0")
        return (
            f"{words}{self._gap}{self._point}{self._gap}{self.each(decimals)}" if point else words
        )

    def count(self, text: str) -> str:
        """A number before what it counts, where that differs: 两, not 二."""
        return self._counting.get(text) or self.number(text)

    def each(self, digits: str) -> str:
        """Every digit by its name, without a pause."""
        return self._gap.join(self._digits[int(digit)] for digit in digits)

    def grouped(self, digits: str) -> str:
        """Every digit by its name, a comma between groups as people pause in a long number."""
        return ", ".join(map(self.each, groups(digits)))


def groups(digits: str) -> list[str]:
    """Three digits at a time, the last groups four where they do not come out even; up to five stay together."""
    if len(digits) <= 5:
        return [digits]
    fours = len(digits) % 3
    threes = (len(digits) - 4 * fours) // 3
    sizes = [3] * threes + [4] * fours
    ends = accumulate(sizes)
    return [digits[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def cldr(language: str) -> Speller:
    """CLDR's words (unicode-rbnf): right for English and Malay; not for Tamil, nor for 两 in Mandarin."""
    return Speller(
        lambda number: _spelt(language, number, FormatPurpose.CARDINAL),
        lambda number: _spelt(language, number, FormatPurpose.ORDINAL),
    )


@cache
def _engine(language: str) -> RbnfEngine:
    return RbnfEngine.for_language(language)


@lru_cache(maxsize=4096)  # 25 to 40 µs each; what calls are about repeats
def _spelt(language: str, number: int, purpose: FormatPurpose) -> str | None:
    try:
        words = _engine(language).format_number(number, purpose).text
    except RbnfError:
        return None
    return words.replace("-", " ").replace("\u00ad", "")
