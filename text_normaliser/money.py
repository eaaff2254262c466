"""Rules for amounts of money: sign or code before or after, ranges, scales."""

from __future__ import annotations

import re
from collections.abc import Iterable

from text_normaliser.language import Currency, Language
from text_normaliser.numbers import NUMBER
from text_normaliser.reader import Rule, rule


def either(words: Iterable[str]) -> str:
    """Return an alternation, longest first. Without words, return a pattern that never matches."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) or "(?!)"


class Money:
    """Rules for a language's currencies."""

    def __init__(self, language: Language) -> None:
        self._language = language
        signs = either(language.currencies)
        codes = either(sign for sign in language.currencies if sign[-1].isalpha())
        scale = rf"(?: ?(?P<scale>{either(language.scales)})(?![^\W_]))?"
        of_low = rf"(?: ?(?P<of_low>{either(language.scales)})(?= ?[-–]))?"
        high = rf"(?: ?[-–] ?(?:{signs})? ?(?P<high>{NUMBER}))?"
        self.rules: tuple[Rule, ...] = (
            rule("sl", rf"(?P<sign>{signs}) ?(?P<low>{NUMBER}){of_low}{high}{scale}", self._say),
            rule(
                "d",
                rf"(?P<low>{NUMBER})(?: ?[-–] ?(?P<high>{NUMBER}))?"
                rf"{scale} ?(?P<sign>{codes})(?![^\W_])",
                self._say,
            ),
        )

    def _say(self, found: re.Match[str]) -> str | None:
        currency = self._language.currencies[found["sign"]]
        low, high = found["low"], found["high"]
        scale = found["scale"]
        of_low = found.groupdict().get("of_low")
        if not high and not scale and not of_low:
            return self._amount(low, currency)
        number = self._language.numbers.number
        first = f"{number(low)} {self._language.scales[of_low]}" if of_low else number(low)
        words = f"{first} {self._language.to} {number(high)}" if high else first
        name = currency.whole.many
        return f"{words} {self._language.scales[scale]} {name}" if scale else f"{words} {name}"

    def _amount(self, text: str, currency: Currency) -> str:
        """Read 1,250.50 in ringgit and sen. With more than two decimals, read a plain number."""
        numbers = self._language.numbers
        whole, _, decimals = text.partition(".")
        if not currency.part or len(decimals) > 2:
            shown = text
            if not decimals.strip("0"):
                shown = whole
            elif len(decimals) == 2:
                shown = text.rstrip("0")
            return f"{numbers.count(shown)} {currency.whole.after(text)}"
        cents = decimals.ljust(2, "0").lstrip("0")
        part = f"{numbers.count(cents)} {currency.part.after(cents)}" if cents else ""
        if part and not whole.strip("0,"):
            return part
        money = f"{numbers.count(whole)} {currency.whole.after(whole)}"
        return " ".join(filter(None, (money, self._language.conjunction, part))) if part else money
