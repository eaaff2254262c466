"""What stands between numbers: sizes, multiples, fractions, ratios, comparisons, and signs on their own."""

from __future__ import annotations

import re

from app.speech.normalise.language import Language
from app.speech.normalise.reader import Rule, rule

NEAR = 24  # characters that can say what a number is
MONEY = r"[\d$€£¥₹R-]"


class Signs:
    """The rules for signs with numbers around them (`rules`), and for any other (`plain`)."""

    def __init__(self, language: Language) -> None:
        self._language, self._numbers = language, language.numbers
        symbol = language.symbols
        self.rules: tuple[Rule, ...] = (
            rule("d", r"(?P<first>\d{1,6}(?:\.\d{1,4})?) ?[xX×] ?(?=\d)", self._side),
            rule("d", r"(?P<number>\d{1,6}(?:\.\d{1,4})?)x(?![^\W_])", self._times),
            rule("d", r"(?P<number>\d{1,4}) x (?=[A-Za-z])", self._several),
            rule("d", r"(?P<first>\d{1,2}\.\d) ?/ ?(?P<last>5|10|100)(?![\w.])", self._rating),
            rule("d", r"(?P<first>\d{1,4})[/⁄](?P<last>\d{1,4})(?![^\W_]|[/⁄.,:-]\d)", self._fraction),
            rule("d", r"(?P<first>\d{1,3}):(?P<last>\d{1,3})(?![^\W_]|[:.,/-]\d)", self._ratio),
            rule("d", r"(?P<digit>[2345])G(?![^\W_])", lambda found: f"{self._numbers.cardinal(found['digit'])} G"),
            rule("s", rf"[<>](?= ?{MONEY})", lambda found: symbol[found.group()]),
            rule("s", rf"~(?={MONEY})", lambda _: symbol["~"]),
            rule("s", r"#(?=[A-Za-z])", lambda _: symbol["#word"]),
            rule("s", r"\*", self._star),
            rule("s", r"(?<=\w)[/⁄](?=\d)", lambda _: symbol["/"]),
        )
        self.plain: tuple[Rule, ...] = (rule("s", r"[&+=@%°±×÷→#§²³©™®•*_|\\^]", lambda found: symbol[found.group()]),)

    def _side(self, found: re.Match[str]) -> str:
        return f"{self._numbers.number(found['first'])} {self._language.by} "

    def _times(self, found: re.Match[str]) -> str:
        said = self._language.times.format(self._numbers.count(found["number"]))
        return said.removesuffix("s") if found["number"] == "1" else said

    def _several(self, found: re.Match[str]) -> str:
        return self._numbers.count(found["number"]) + " "

    def _rating(self, found: re.Match[str]) -> str:
        return self._language.rating.format(self._numbers.number(found["first"]), self._numbers.cardinal(found["last"]))

    def _ratio(self, found: re.Match[str]) -> str:
        first, last = self._numbers.cardinal(found["first"]), self._numbers.cardinal(found["last"])
        return f"{first} {self._language.versus} {last}"

    def _fraction(self, found: re.Match[str]) -> str:
        """24/7, 1/2, 10/10, a day and month where the words before ask for one, and else what is written."""
        text, first, last = found.group().replace("⁄", "/"), found["first"], found["last"]
        before, cues = found.string[max(0, found.start() - NEAR) : found.start()], self._language.cues
        street = cues.street.search(before)
        if text in self._language.fractions and not street:
            return self._language.fractions[text]
        one, other = self._numbers.cardinal(first), self._numbers.cardinal(last)
        if text == "24/7" or (first == last and int(last) != 10):
            return f"{one} {other}"
        if int(last) == 10 and int(first) <= 10:
            return self._language.rating.format(one, other)
        if cues.date.search(before) and 1 <= int(first) <= 31 and 1 <= int(last) <= 12:
            return self._language.calendar.date(int(first), int(last), None)
        return f"{one} {self._language.symbols['/']} {other}" if street else self._language.fraction.format(one, other)

    def _star(self, found: re.Match[str]) -> str | None:
        """5 * 3, and the key of a telephone."""
        before = found.string[max(0, found.start() - NEAR) : found.start()]
        if before.rstrip()[-1:].isdigit() and found.string[found.end() : found.end() + 8].lstrip()[:1].isdigit():
            return self._language.symbols["×"]
        return self._language.marks["*"] if self._language.cues.key.search(before) else None
