"""What a language brings to the rules: its words, and its ways to say a date and the time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.speech.normalise.numbers import Numbers


@dataclass(frozen=True, slots=True)
class Counted:
    """A word that goes with a number: one kilometer, two kilometers."""

    one: str
    many: str

    def after(self, number: str) -> str:
        """The form behind a number as it is written."""
        return self.one if number.replace(",", "") in {"1", "1.0", "1.00"} else self.many


def same(word: str) -> Counted:
    """A word that has no plural: ringgit, and every Malay or Chinese one."""
    return Counted(word, word)


@dataclass(frozen=True, slots=True)
class Currency:
    """The name of the money and of its hundredth; no hundredth where nobody counts in it."""

    whole: Counted
    part: Counted | None = None


@dataclass(frozen=True, slots=True)
class Cues:
    """What the words before a number say of it; each pattern ends where the number begins."""

    code: re.Pattern[str]  # it names something: order number
    plate: re.Pattern[str]  # anywhere before: letters and digits are a plate or a flight
    place: re.Pattern[str]  # a house: unit
    street: re.Pattern[str]  # a slash within is no fraction: Jalan
    date: re.Pattern[str]  # 15/3 is a date: due on
    expiry: re.Pattern[str]  # anywhere before: 11/27 is a month and its year
    year: re.Pattern[str]  # a number before 1900 is a year: in
    time: re.Pattern[str]  # 1.30 is a time: at
    key: re.Pattern[str]  # * is a key: press


@dataclass(frozen=True, slots=True)
class Calendar:
    """How days and hours are written and said. Keys of `months` are lower case."""

    months: Mapping[str, int]  # names, full ones first, and abbreviations; 1 to 12
    days: Mapping[str, str]  # of the week, as they are abbreviated; a dash between two is read
    day_ends: str  # pattern of what may stand behind the day: th
    halves: str  # pattern of what may stand behind the time: p.m.
    year: Callable[[int], str]
    date: Callable[[int, int, int | None], str]  # day, month, year
    month_first: Callable[[int, int, int | None], str]  # the same where the month is written first
    clock: Callable[
        [int, int, str], str
    ]  # hour, minute, what stood behind in lower case without stops
    placed: Callable[
        [str, str, str], str
    ]  # a time said, the text before and behind it: pukul, where it lacks

    def full(self, month: int) -> str:
        """A month's name, which stands first of those that mean it."""
        return next(name for name, number in self.months.items() if number == month).capitalize()


@dataclass(frozen=True, slots=True)
class Language:
    """The tables that the rules read by. Templates are for `str.format`."""

    numbers: Numbers
    calendar: Calendar
    cues: Cues
    currencies: Mapping[str, Currency]  # by sign or code, as written
    scales: Mapping[str, str]  # k, million …: the words behind an amount
    units: Mapping[str, Counted]  # by abbreviation, as written
    rates: Mapping[str, str]  # what stands behind a slash: month
    symbols: Mapping[str, str]  # a sign on its own: & and
    marks: Mapping[str, str]  # a sign within an address: . dot
    fractions: Mapping[str, str]  # those with names: 1/2
    counted: re.Pattern[str]  # begins behind a number that is no year: people
    conjunction: str  # between ringgit and sen
    to: str  # between the ends of a range
    versus: str  # between the numbers of a ratio or score
    per: str
    minus: str
    plus: str
    number: str  # the sign # before digits
    by: str  # between the sides of a size
    times: str  # template for 2x
    percent: str  # template
    fraction: str  # template for two numbers with a slash
    rating: str  # template for 9/10
    toll_free: bool = False  # 1-800 is said as two numbers
