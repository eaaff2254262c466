"""Numbers in words: cardinals and ordinals, by CLDR where it is right, and single digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from types import MappingProxyType

from unicode_rbnf import FormatPurpose, RbnfEngine
from unicode_rbnf.engine import RbnfError

MAX_DIGITS = 15  # digits; CLDR has no words beyond the quadrillion, which are hard to follow anyway
WHOLE = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)"
NUMBER = rf"{WHOLE}(?:\.\d++)?"
Spell = Callable[[int], str | None]


@dataclass(frozen=True, slots=True)
class Speller:
    """Words for a whole number of at most `MAX_DIGITS` digits, None if the language has none."""

    cardinal: Spell
    ordinal: Spell


class Numbers:
    """Spoken numbers of a language.

    `digits` are the names of 0 to 9 and `point` is that of the decimal sign. `gap` separates
    digits. `counting` has the numbers that differ before a noun.
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
        self._speller = speller
        self._digits = digits
        self._point = point
        self._gap = gap
        self._counting = counting

    def cardinal(self, digits: str) -> str:
        """Read a whole number, with or without separators, digit by digit if it is too long."""
        return self._named(digits, self._speller.cardinal)

    def ordinal(self, digits: str) -> str:
        """Read an ordinal: first, twenty first."""
        return self._named(digits, self._speller.ordinal)

    def _named(self, digits: str, spell: Spell) -> str:
        digits = digits.replace(",", "")
        return (spell(int(digits)) if len(digits) <= MAX_DIGITS else None) or self.grouped(digits)

    def number(self, text: str) -> str:
        """Read a number with or without decimals: two hundred fifty point five zero."""
        whole, point, decimals = text.partition(".")
        words = self.cardinal(whole or "0")
        if not point:
            return words
        return f"{words}{self._gap}{self._point}{self._gap}{self.each(decimals)}"

    def count(self, text: str) -> str:
        """Read a number before a noun, in its own form if there is one: 两, not 二."""
        return self._counting.get(text) or self.number(text)

    def each(self, digits: str) -> str:
        """Read each digit without pauses."""
        return self._gap.join(self._digits[int(digit)] for digit in digits)

    def grouped(self, digits: str) -> str:
        """Read each digit with commas between groups, as speakers pause in a long number."""
        return ", ".join(map(self.each, groups(digits)))


def groups(digits: str) -> list[str]:
    """Split digits into groups of three, the last of four if needed. Up to five are one group."""
    if len(digits) <= 5:
        return [digits]
    fours = len(digits) % 3
    threes = (len(digits) - 4 * fours) // 3
    sizes = [3] * threes + [4] * fours
    ends = accumulate(sizes)
    return [digits[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def cldr(language: str) -> Speller:
    """Return CLDR's speller (unicode-rbnf), right for English and Malay, not for Tamil or 两."""
    return Speller(
        lambda number: _spelt(language, number, FormatPurpose.CARDINAL),
        lambda number: _spelt(language, number, FormatPurpose.ORDINAL),
    )


@cache
def _engine(language: str) -> RbnfEngine:
    return RbnfEngine.for_language(language)


@lru_cache(maxsize=4096)  # 25 to 40 µs each; numbers repeat between requests
def _spelt(language: str, number: int, purpose: FormatPurpose) -> str | None:
    try:
        words = _engine(language).format_number(number, purpose).text
    except RbnfError:
        return None
    return words.replace("-", " ").replace("\u00ad", "")
