"""Numbers in words: cardinals and ordinals are CLDR's (unicode-rbnf), digits are said one by one."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import accumulate

from unicode_rbnf import FormatPurpose, RbnfEngine
from unicode_rbnf.engine import RbnfError

LONGEST = 15  # digits: CLDR names no scale beyond the quadrillion, nor does a listener follow one
NUMBER = r"(?:\d{1,3}(?:,\d{3})++(?!\d)|\d++)(?:\.\d++)?"


class Numbers:
    """How a language says numbers. `digits` are its names of 0 to 9, `point` that of the decimal sign."""

    def __init__(self, language: str, digits: tuple[str, ...], point: str) -> None:
        self._language, self._digits, self._point = language, digits, point

    def cardinal(self, digits: str) -> str:
        """A whole number, written with or without separators; digit by digit where it is too long to name."""
        digits = digits.replace(",", "")
        if len(digits) > LONGEST:
            return self.grouped(digits)
        return _spelt(self._language, int(digits), FormatPurpose.CARDINAL) or self.each(digits)

    def ordinal(self, digits: str) -> str:
        """The place in a row: first, twenty first."""
        digits = digits.replace(",", "")
        if len(digits) > LONGEST:
            return self.grouped(digits)
        return _spelt(self._language, int(digits), FormatPurpose.ORDINAL) or self.each(digits)

    def number(self, text: str) -> str:
        """A number that may have decimals: one thousand two hundred fifty point five zero."""
        whole, point, decimals = text.partition(".")
        words = self.cardinal(whole or "0")
        return f"{words} {self._point} {self.each(decimals)}" if point else words

    def each(self, digits: str) -> str:
        """Every digit by its name, without a pause."""
        return " ".join(self._digits[int(digit)] for digit in digits)

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
