"""Tables and functions that a language supplies to the rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from text_normaliser.numbers import Numbers


@dataclass(frozen=True, slots=True)
class Inflected:
    """Singular and plural of a word after a number: one kilometer, two kilometers."""

    one: str
    many: str

    def after(self, number: str) -> str:
        """Return the form after a number as written."""
        return self.one if number.replace(",", "") in {"1", "1.0", "1.00"} else self.many


def same(word: str) -> Inflected:
    """Return a word without a plural form, such as ringgit or any Malay or Chinese word."""
    return Inflected(word, word)


@dataclass(frozen=True, slots=True)
class Currency:
    """Names of a currency and of its hundredth, None if the hundredth is not used."""

    whole: Inflected
    part: Inflected | None = None


@dataclass(frozen=True, slots=True)
class Cues:
    """Patterns of the words before a number. A pattern ends where the number begins.

    `plate` and `expiry` may match anywhere before it.
    """

    code: re.Pattern[str]  # the number is a name: order number
    plate: re.Pattern[str]  # letters and digits are a licence plate or a flight number
    place: re.Pattern[str]  # the number is a house number: unit
    street: re.Pattern[str]  # a slash in the number is not a fraction: Jalan
    date: re.Pattern[str]  # 15/3 is a date: due on
    expiry: re.Pattern[str]  # 11/27 is a month and a year
    year: re.Pattern[str]  # a number before 1900 is a year: in
    time: re.Pattern[str]  # 1.30 is a time: at
    key: re.Pattern[str]  # * is a telephone key: press


@dataclass(frozen=True, slots=True)
class Calendar:
    """Written and spoken forms of dates and times. Keys of `months` are lower case."""

    months: Mapping[str, int]  # full names first, then abbreviations; 1 to 12
    days: Mapping[str, str]  # names of weekdays by abbreviation
    day_ends: str  # pattern of endings of the day: th
    halves: str  # pattern of endings of the time: p.m.
    year: Callable[[int], str]
    date: Callable[[int, int, int | None], str]  # day, month, year
    month_first: Callable[[int, int, int | None], str]  # day, month, year, if the month is first
    clock: Callable[[int, int, str], str]  # hour, minute, ending in lower case without full stops
    # Spoken time, text before, text after. Adds a missing word such as "pukul".
    placed: Callable[[str, str, str], str]

    def full(self, month: int) -> str:
        """Return a month's full name, which is the first of its names."""
        return next(name for name, number in self.months.items() if number == month).capitalize()


@dataclass(frozen=True, slots=True)
class Language:
    """Tables that the rules use. Templates are for `str.format`."""

    numbers: Numbers
    calendar: Calendar
    cues: Cues
    currencies: Mapping[str, Currency]  # by written sign or code
    scales: Mapping[str, str]  # words after an amount: k, million
    units: Mapping[str, Inflected]  # by written abbreviation
    rates: Mapping[str, str]  # words after a slash: month
    symbols: Mapping[str, str]  # names of signs on their own: & and
    marks: Mapping[str, str]  # names of signs within an address: . dot
    fractions: Mapping[str, str]  # fractions with names: 1/2
    counted: re.Pattern[str]  # nouns after a number that is not a year: people
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
    toll_free: bool = False  # True if 1-800 is spoken as two numbers
