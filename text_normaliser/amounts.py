"""Rules for quantities: units, percentages, ranges, rates, scales, years and plain numbers."""

from __future__ import annotations

import re

from text_normaliser.language import Language
from text_normaliser.money import either
from text_normaliser.numbers import MAX_DIGITS, NUMBER
from text_normaliser.reader import Rule, rule, text_after, text_before

DASH = " ?[-–] ?"


class Amounts:
    """Rules for numbers that count or measure."""

    def __init__(self, language: Language) -> None:
        self._language = language
        units = either(language.units)
        scales = either(scale for scale in language.scales if len(scale) > 1)
        rates = either(language.rates)
        self.rules: tuple[Rule, ...] = (
            rule(
                "d",
                rf"(?P<low>{NUMBER})(?:{DASH}(?P<high>{NUMBER}))?[ -]?(?P<unit>{units})(?![^\W_])",
                self._measure,
            ),
            rule("d", rf"(?P<low>{NUMBER}) ?%?{DASH}(?P<high>{NUMBER}) ?%", self._percentage),
            rule("d", rf"(?P<low>{NUMBER})(?P<high>) ?%", self._percentage),
            rule("d", rf"(?P<low>{NUMBER}){DASH}(?P<high>{NUMBER})(?![^\W_]|[-/:]\d)", self._range),
            rule("s", rf"/ ?(?P<rate>{rates})(?![^\W_])", self._rate),
            rule("d", rf"(?P<number>{NUMBER}) ?(?P<scale>k|{scales})(?![^\W_])", self._scaled),
        )
        self.plain: tuple[Rule, ...] = (
            rule("d", r"(?P<year>1[1-9]\d\d|20\d\d)(?![^\W_]|[.,:/]\d)", self._year),
            rule("d", r"\d++(?:\.\d++){2,8}", self._version),
            rule("d", rf"(?P<number>{NUMBER})", self._number),
            rule("s", r"\.\d++", self._number),
            rule("s", r"-(?=[\d$€£¥₹A-Z])|(?<=\d)-(?=[a-z])", self._hyphen),
        )

    def _measure(self, found: re.Match[str]) -> str:
        last = found["high"] or found["low"]
        return f"{self._ends(found, counts=True)} {self._language.units[found['unit']].after(last)}"

    def _percentage(self, found: re.Match[str]) -> str:
        return self._language.percent.format(self._ends(found))

    def _range(self, found: re.Match[str]) -> str:
        """Read 3-5 as a range, or as a score if the second number is not greater."""
        low, high = found["low"], found["high"]
        if len(low) < 3 and low.isdigit() and high.isdigit() and int(high[:MAX_DIGITS]) <= int(low):
            cardinal = self._language.numbers.cardinal
            return f"{cardinal(low)} {self._language.versus} {cardinal(high)}"
        return self._ends(found)

    def _ends(self, found: re.Match[str], *, counts: bool = False) -> str:
        """Read one number, or both ends of a range."""
        numbers = self._language.numbers
        spoken = numbers.count if counts else numbers.number
        if not found["high"]:
            return spoken(found["low"])
        return f"{numbers.number(found['low'])} {self._language.to} {spoken(found['high'])}"

    def _rate(self, found: re.Match[str]) -> str | None:
        before = text_before(found, 16)
        spoken = f"{self._language.per} {self._language.rates[found['rate']]}".lstrip()
        return spoken if re.search(r"\d", before) else None

    def _scaled(self, found: re.Match[str]) -> str:
        number = self._language.numbers.number(found["number"])
        return f"{number} {self._language.scales[found['scale']]}"

    def _year(self, found: re.Match[str]) -> str | None:
        """Read a year unless a counted noun follows. Before 1900 a cue such as "in" is needed."""
        before = text_before(found)
        after = text_after(found)
        if self._language.counted.match(after):
            return None
        year = int(found["year"])
        if year < 1900 and not self._language.cues.year.search(before):
            return None
        return self._language.calendar.year(year)

    def _version(self, found: re.Match[str]) -> str:
        point = f" {self._language.symbols['.']} "
        return point.join(map(self._language.numbers.cardinal, found.group().split(".")))

    def _number(self, found: re.Match[str]) -> str:
        return self._language.numbers.number(found.group())

    def _hyphen(self, found: re.Match[str]) -> str | None:
        """Read a minus that follows no letter or digit.

        A hyphen beside digits (Covid-19) or between spelt letters (T-A-N) is silent.
        """
        before = found.string[found.start() - 1 : found.start()]
        after = found.string[found.end() : found.end() + 2]
        if before.isalnum():
            is_beside_digit = before.isdigit() or not after[:1].isalpha()
            is_spelt = before.isupper() and not after[1:].isalnum()
            return "" if is_beside_digit or is_spelt else None
        return self._language.minus if not after[:1].isalpha() or _money_follows(found) else None


def _money_follows(found: re.Match[str]) -> bool:
    return bool(re.compile(r"[A-Z]{1,3}\$? ?\d").match(found.string, found.end()))
