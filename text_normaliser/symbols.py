"""Rules for symbols: sizes, multiples, fractions, ratios, comparisons, single symbols."""

from __future__ import annotations

import re

from text_normaliser.language import Language
from text_normaliser.reader import Rule, rule, text_after, text_before

EXPIRY_YEAR = re.compile("(?:20)?(?:1[3-9]|[2-4]\\d)")  # 11/09 may be a day
MONEY = r"[\d$€£¥₹R-]"


class Symbols:
    """Rules for symbols between numbers (`rules`) and for other symbols (`plain`)."""

    def __init__(self, language: Language) -> None:
        self._language, self._numbers = language, language.numbers
        symbol = language.symbols
        self.rules: tuple[Rule, ...] = (
            rule(
                "d",
                r"(?P<first>\d{1,6}(?:\.\d{1,4})?) ?[xX×] ?(?=\d|(?:RM|[A-Z]{0,2}[$€£¥₹]) ?\d)",
                self._side,
            ),
            rule("d", r"(?P<number>\d{1,6}(?:\.\d{1,4})?)x(?![^\W_])", self._times),
            rule("d", r"(?P<number>\d{1,4}) x (?=[A-Za-z])", self._several),
            rule("d", r"(?P<first>\d{1,2}\.\d) ?/ ?(?P<last>5|10|100)(?![\w/]|\.\d)", self._rating),
            rule(
                "d", r"(?P<first>\d{1,4})[/⁄](?P<last>\d{1,4})(?![^\W_]|[/⁄.,:-]\d)", self._fraction
            ),
            rule("d", r"(?P<first>\d{1,3}):(?P<last>\d{1,3})(?![^\W_]|[:.,/-]\d)", self._ratio),
            rule(
                "d",
                r"(?P<digit>[2345])G(?![^\W_])",
                lambda found: f"{self._numbers.cardinal(found['digit'])} G",
            ),
            rule("s", rf"[<>](?= ?{MONEY})", lambda found: symbol[found.group()]),
            rule("s", rf"~(?={MONEY})", lambda _: symbol["~"]),
            rule("s", r"~", lambda _: ""),  # a drawn-out word: Hello~
            rule("s", r"#(?=[A-Z]{1,12}-?\d)", lambda _: language.number),
            rule("s", r"#(?=[A-Za-z])", lambda _: symbol["#word"]),
            rule("s", r"\*", self._star),
            rule("s", r"(?<=\w)[/⁄](?=\d)", lambda _: symbol["/"]),
        )
        self.plain: tuple[Rule, ...] = (
            rule("s", r"[&+=@%°±×÷→#§²³©™®•*_|\\^]", lambda found: symbol[found.group()]),
        )

    def _side(self, found: re.Match[str]) -> str:
        """Read 3 x 4 meters and 2 x RM50."""
        if not found.string[found.end()].isdigit():
            return self._language.times.format(self._numbers.number(found["first"])) + " "
        return f"{self._numbers.number(found['first'])} {self._language.by} "

    def _times(self, found: re.Match[str]) -> str:
        spoken = self._language.times.format(self._numbers.count(found["number"]))
        return spoken.removesuffix("s") if found["number"] == "1" else spoken

    def _several(self, found: re.Match[str]) -> str:
        return self._numbers.count(found["number"]) + " "

    def _rating(self, found: re.Match[str]) -> str:
        return self._language.rating.format(
            self._numbers.number(found["first"]), self._numbers.cardinal(found["last"])
        )

    def _ratio(self, found: re.Match[str]) -> str:
        first, last = self._numbers.cardinal(found["first"]), self._numbers.cardinal(found["last"])
        return f"{first} {self._language.symbols[':']} {last}"

    def _fraction(self, found: re.Match[str]) -> str:
        """Read 24/7, 1/2, 10/10, or a day and month after a cue. Otherwise read the slash."""
        first, last = found["first"], found["last"]
        text = found.group().replace("⁄", "/")
        before = text_before(found)
        cues, calendar = self._language.cues, self._language.calendar
        street = cues.street.search(before)
        if text in self._language.fractions and not street:
            return self._language.fractions[text]
        is_day = 1 <= int(first) <= 31 and 1 <= int(last) <= 12 and first != "24"
        if is_day and cues.date.search(before):
            return calendar.date(int(first), int(last), None)
        if cues.expiry.search(before) and 1 <= int(first) <= 12 and EXPIRY_YEAR.fullmatch(last):
            return f"{calendar.full(int(first))} {calendar.year(2000 + int(last[-2:]))}"
        one, other = self._numbers.cardinal(first), self._numbers.cardinal(last)
        if street:
            return f"{one} {self._language.symbols['/']} {other}"
        return self._pair(first, last) or self._language.fraction.format(one, other)

    def _pair(self, first: str, last: str) -> str | None:
        """Read pairs that are not fractions: 2025/2026, 2026/0032, 24/7, 50/50, 9/10."""
        number, other = int(first), int(last)
        if len(first) == len(last) == 4 and other == number + 1:
            return f"{self._language.calendar.year(number)} {self._language.calendar.year(other)}"
        if last.startswith("0") and len(last) > 2:
            return f"{self._numbers.grouped(first)}, {self._numbers.grouped(last)}"
        if other == 10 and number <= 10:
            return self._language.rating.format(
                self._numbers.cardinal(first), self._numbers.cardinal(last)
            )
        if (number, other) == (24, 7) or number == other:
            return f"{self._numbers.cardinal(first)} {self._numbers.cardinal(last)}"
        return None

    def _star(self, found: re.Match[str]) -> str | None:
        """Read 5 * 3, and the star key of a telephone."""
        before = text_before(found)
        after = text_after(found, 8)
        if before.rstrip()[-1:].isdigit() and after.lstrip()[:1].isdigit():
            return self._language.symbols["×"]
        return self._language.marks["*"] if self._language.cues.key.search(before) else None
