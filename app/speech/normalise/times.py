"""Times of day, dates and years."""

from __future__ import annotations

import re

from app.speech.normalise.language import Language
from app.speech.normalise.money import either
from app.speech.normalise.reader import Rule, rule

CLOCK = r"(?P<hour{0}>\d{{1,2}})(?:[:.](?P<minute{0}>[0-5]\d))?(?::[0-5]\d)? ?(?P<half{0}>[ap]\.?m\b\.?)"
COLON = r"(?P<hour{0}>\d{{1,2}}):(?P<minute{0}>[0-5]\d)(?::(?P<second{0}>[0-5]\d))?(?: ?(?P<half{0}>[ap]\.?m\b\.?))?"
HOUR = r"(?P<hour>\d{1,2})"
END = r"(?![^\W_]|[:.,/-]\d)"


class Times:
    """The rules for the clock and the calendar. Day before month, as in Malaysia, unless it cannot be."""

    def __init__(self, language: Language) -> None:
        self._language = language
        months = either({*map(str.capitalize, language.months), *map(str.upper, language.months)})
        day = r"(?P<day>[0-3]?\d)"
        self.rules: tuple[Rule, ...] = (
            rule("d", r"(?P<year>[12]\d{3})([-/.])(?P<month>[01]?\d)\2(?P<day>[0-3]?\d)" + END, self._date),
            rule("d", day + r"([-/.])(?P<month>[0-3]?\d)\2(?P<year>[12]\d{3}|\d\d)" + END, self._date),
            rule("d", rf"{day}(?:st|nd|rd|th)?(?: of)? (?P<name>{months})(?![^\W_])\.?(?:,? (?P<year>[12]\d{{3}})"
                      rf"{END})?", self._date),
            rule("l", rf"(?P<name>{months})\.? {day}(?:st|nd|rd|th)?(?![^\W_]|[:.%]\d|,\d)"
                      rf"(?:,? (?P<year>[12]\d{{3}}){END})?", self._month_first),
            rule("l", rf"(?P<name>{months})\.?(?= [12]\d{{3}}{END}|\.? *$)", self._month),
            rule("d", rf"{COLON.format('')} ?[-–] ?{COLON.format('2')}{END}", self._span, any_case=True),
            rule("d", rf"{CLOCK.format('')} ?[-–] ?{CLOCK.format('2')}", self._span, any_case=True),
            rule("d", rf"(?P<hour>\d{{1,2}})(?P<minute>)(?P<half>) ?[-–] ?{CLOCK.format('2')}", self._span,
                 any_case=True),
            rule("d", COLON.format("") + r"(?![^\W_]|[:/]\d)", self._time, any_case=True),
            rule("d", CLOCK.format(""), self._time, any_case=True),
            rule("d", r"(?P<from>(?:1[89]|20)\d\d) ?[-–] ?(?P<till>(?:1[89]|20)\d\d|\d\d)(?![^\W_]|[-.,/]\d)",
                 self._years),
        )  # fmt: skip

    def _time(self, found: re.Match[str]) -> str | None:
        second = found.groupdict().get("second")
        if second and not found["half"] and not int(found["hour"]):
            return f"{self._count(found['minute'], 'min')} {self._language.conjunction} {self._count(second, 'sec')}"
        said = self._clock(found["hour"], found["minute"], found["half"], second)
        return said and said + self._stop(found)

    def _span(self, found: re.Match[str]) -> str | None:
        first = self._clock(found["hour"], found["minute"], found["half"])
        last = self._clock(found["hour2"], found["minute2"], found["half2"])
        if not first or not last:
            return None
        first = first.removesuffix(" o'clock")
        return f"{first} {self._language.to} {last}{self._stop(found)}"

    def _clock(self, hour: str, minute: str | None, half: str | None, second: str | None = None) -> str | None:
        half = (half or "").replace(".", "").lower()
        if int(hour) > (12 if half else 24):
            return None
        said = self._language.clock(int(hour), int(minute or 0), half)
        if second and int(second):
            return f"{said} {self._language.conjunction} {self._count(second, 'sec')}"
        return said

    def _count(self, number: str, unit: str) -> str:
        return f"{self._language.numbers.cardinal(number)} {self._language.units[unit].after(number.lstrip('0'))}"

    @staticmethod
    def _stop(found: re.Match[str]) -> str:
        """The full stop of "p.m." where it is the sentence's too."""
        ends = re.match(r"\s*$|\s+[A-Z]", found.string[found.end() : found.end() + 40])
        return "." if ends and found.group().endswith(".") else ""

    def _date(self, found: re.Match[str]) -> str | None:
        fields = found.groupdict()
        day, month = int(fields["day"]), self._month_of(fields)
        if month > 12 and "name" not in fields:
            day, month = month, day
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return None
        said = self._language.date(day, month, _year(fields["year"]))
        before = found.string[max(0, found.start() - 4) : found.start()].lower()
        return (said.removeprefix("the ") if before.endswith("the ") else said) + self._stop(found)

    def _month_of(self, fields: dict[str, str | None]) -> int:
        name = fields.get("name")
        return self._language.months[name.lower()] if name else int(fields.get("month") or 0)

    def _month_first(self, found: re.Match[str]) -> str | None:
        name, day, year = found["name"], found["day"], _year(found["year"])
        if not 1 <= int(day) <= 31:
            return None
        said = f"{self._full(name)} {self._language.numbers.ordinal(day)}"
        return f"{said}, {self._language.year(year)}" if year else said + self._stop(found)

    def _month(self, found: re.Match[str]) -> str | None:
        return None if len(found["name"]) > 4 else self._full(found["name"]) + self._stop(found)

    def _full(self, name: str) -> str:
        month = self._language.months[name.lower()]
        return next(full for full, number in self._language.months.items() if number == month).capitalize()

    def _years(self, found: re.Match[str]) -> str | None:
        first, last = found["from"], found["till"]
        whole = first[: len(first) - len(last)] + last
        if int(whole) <= int(first):
            return None
        return f"{self._language.year(int(first))} {self._language.to} {self._language.year(int(whole))}"


def _year(text: str | None) -> int | None:
    """Two digits are of this century up to 49."""
    if not text:
        return None
    return int(text) + (0 if len(text) == 4 else 2000 if int(text) < 50 else 1900)
