"""Rules for times of day, dates and years."""

from __future__ import annotations

import re

from text_normaliser.language import Language
from text_normaliser.money import either
from text_normaliser.reader import Rule, rule, text_after, text_before

COLON = (
    r"(?P<hour{0}>\d{{1,2}}):(?P<minute{0}>[0-5]\d)(?::(?P<second{0}>[0-5]\d))?"
    r"(?: ?(?P<half{0}>{1}))?"
)
CLOCK = r"(?P<hour{0}>\d{{1,2}})(?:[:.](?P<minute{0}>[0-5]\d))?(?::[0-5]\d)? ?(?P<half{0}>{1})"
END = r"(?![^\W_]|[:.,/-]\d)"
BETWEEN = "to|until|till|through|and|or|hingga|sehingga|sampai|dan|atau"  # weekdays


class Times:
    """Rules for times and dates. The day precedes the month, as in Malaysia, if it can."""

    def __init__(self, language: Language) -> None:
        self._language, self._calendar = language, language.calendar
        self.rules: tuple[Rule, ...] = (*self._dates(), *self._clocks())

    @property
    def prose_like(self) -> str:
        """Pattern of dates that look like prose: Mon to Fri, and Tue, 14 Apr."""
        days = either(self._calendar.days)
        return rf"(?:{days})\.?(?: (?:{BETWEEN}) (?:{days})(?![^\W_])|(?={self._dated}))"

    @property
    def _months(self) -> str:
        names = self._calendar.months
        return either({*map(str.capitalize, names), *map(str.upper, names)})

    @property
    def _dated(self) -> str:
        """Pattern of a date after its weekday."""
        ends = self._calendar.day_ends
        return rf",? \d\d?(?:{ends} (?:{self._months})(?![^\W_])|[/-]\d\d?[/-]\d)"

    def _dates(self) -> tuple[Rule, ...]:
        months = self._months
        day, ends = r"(?P<day>[0-3]?\d)", self._calendar.day_ends
        year = rf"(?P<year>[12]\d{{3}}){END}"
        weekdays = either(self._calendar.days)
        first, last = rf"(?P<first_day>{weekdays})", rf"(?P<last_day>{weekdays})"
        return (
            rule(
                "l", rf"{first}\.?(?: ?[-–] ?| (?P<between>{BETWEEN}) ){last}(?![^\W_])", self._days
            ),
            rule("l", rf"(?P<day>{weekdays})\.?(?={self._dated})", self._day),
            rule(
                "d",
                r"(?P<year>[12]\d{3})([-/.])(?P<month>[01]?\d)\2(?P<day>[0-3]?\d)" + END,
                self._date,
            ),
            rule(
                "d", day + r"([-/.])(?P<month>[0-3]?\d)\2(?P<year>[12]\d{3}|\d\d)" + END, self._date
            ),
            rule(
                "d",
                rf"{day}{ends}[ -]?(?P<name>{months})(?![^\W_])\.?(?:(?:,? |-){year})?",
                self._date,
            ),
            rule(
                "l",
                rf"(?P<name>{months})\.? {day}{ends}(?![^\W_]|[:.%]\d|,\d)(?:,? {year})?",
                self._month_first,
            ),
            rule("l", rf"(?P<name>{months})\.?(?= [12]\d{{3}}{END}|\.? *$)", self._month),
        )

    def _clocks(self) -> tuple[Rule, ...]:
        halves = self._calendar.halves
        colon = COLON.format("", halves), COLON.format("2", halves)
        clock = CLOCK.format("", halves), CLOCK.format("2", halves)
        measures = either((*self._language.units, *self._language.scales, "%"))
        return (
            rule("d", rf"{colon[0]} ?[-–] ?{colon[1]}{END}", self._span, any_case=True),
            rule("d", rf"{clock[0]} ?[-–] ?{clock[1]}", self._span, any_case=True),
            rule("d", r"(?P<hour>\d{1,2})(?:[.:](?P<minute>[0-5]\d))?(?P<half>) ?[-–] ?" + clock[1],
                 self._span, any_case=True),
            rule("d", colon[0] + r"(?![^\W_]|[:/]\d)", self._time, any_case=True),
            rule("d", clock[0], self._time, any_case=True),
            rule("d", rf"(?P<hour>\d{{1,2}})\.(?P<minute>[0-5]\d)(?P<half>){END}"
                      rf"(?! ?(?:{measures})(?![^\W_]))", self._cued_time),
            rule("d", r"(?P<from>(?:1[89]|20)\d\d) ?[-–] ?(?P<till>(?:1[89]|20)\d\d|\d\d)"
                      r"(?![^\W_]|[-.,/]\d)", self._years),
        )  # fmt: skip

    def _time(self, found: re.Match[str]) -> str | None:
        second = found.groupdict().get("second")
        if second and not found["half"] and not int(found["hour"]):
            minutes = self._count(found["minute"], "min")
            return self._joined(minutes, self._count(second, "sec")) if int(second) else minutes
        spoken = self._clock(found["hour"], found["minute"], found["half"], second)
        return spoken and self._placed(spoken, found)

    def _cued_time(self, found: re.Match[str]) -> str | None:
        return self._time(found) if self._language.cues.time.search(text_before(found)) else None

    def _span(self, found: re.Match[str]) -> str | None:
        first = self._clock(found["hour"], found["minute"], found["half"])
        last = self._clock(found["hour2"], found["minute2"], found["half2"])
        if not first or not last:
            return None
        first = first.removesuffix(" o'clock")
        return self._placed(f"{first} {self._language.to} {last}", found)

    def _placed(self, spoken: str, found: re.Match[str]) -> str:
        after = text_after(found)
        return self._calendar.placed(spoken, text_before(found), after) + _stop(found)

    def _clock(
        self, hour: str, minute: str | None, half: str | None, second: str | None = None
    ) -> str | None:
        number, half = int(hour), (half or "").replace(".", "").lower()
        if number > 24:
            return None
        if half and number > 12:
            number -= 12
        spoken = self._calendar.clock(number, int(minute or 0), half)
        return (
            self._joined(spoken, self._count(second, "sec")) if second and int(second) else spoken
        )

    def _joined(self, first: str, last: str) -> str:
        return " ".join(filter(None, (first, self._language.conjunction, last)))

    def _count(self, number: str, unit: str) -> str:
        number = number.lstrip("0") or "0"
        return f"{self._language.numbers.count(number)} {self._language.units[unit].after(number)}"

    def _date(self, found: re.Match[str]) -> str | None:
        fields = found.groupdict()
        day, month = int(fields["day"]), self._month_of(fields)
        if month > 12 and "name" not in fields:
            day, month = month, day
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return None
        spoken = self._calendar.date(day, month, _year(fields["year"]))
        if text_before(found).lower().endswith("the "):
            spoken = spoken.removeprefix("the ")
        return spoken + _stop(found)

    def _days(self, found: re.Match[str]) -> str:
        days = self._calendar.days
        to = found["between"] or self._language.to
        return f"{days[found['first_day']]} {to} {days[found['last_day']]}"

    def _day(self, found: re.Match[str]) -> str:
        return self._calendar.days[found["day"]]

    def _month_of(self, fields: dict[str, str | None]) -> int:
        name = fields.get("name")
        return self._calendar.months[name.lower()] if name else int(fields.get("month") or 0)

    def _month_first(self, found: re.Match[str]) -> str | None:
        day, year = int(found["day"]), _year(found["year"])
        if not 1 <= day <= 31:
            return None
        spoken = self._calendar.month_first(day, self._calendar.months[found["name"].lower()], year)
        return spoken if year else spoken + _stop(found)

    def _month(self, found: re.Match[str]) -> str | None:
        calendar, name = self._calendar, found["name"]
        if len(name) > 4:
            return None
        return calendar.full(calendar.months[name.lower()]) + _stop(found)

    def _years(self, found: re.Match[str]) -> str | None:
        first, last = found["from"], found["till"]
        whole = first[: len(first) - len(last)] + last
        if int(whole) <= int(first):
            return None
        year = self._calendar.year
        return f"{year(int(first))} {self._language.to} {year(int(whole))}"


def _stop(found: re.Match[str]) -> str:
    """Return the full stop of "p.m." if it also ends the sentence."""
    ends = re.match(r"\s*$|\s+[A-Z]", text_after(found, 40))
    return "." if ends and found.group().endswith(".") else ""


def _year(text: str | None) -> int | None:
    """Return the year. Two digits up to 49 are of this century."""
    if not text:
        return None
    return int(text) + (0 if len(text) == 4 else 2000 if int(text) < 50 else 1900)
