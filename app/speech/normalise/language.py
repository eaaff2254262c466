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


@dataclass(frozen=True, slots=True)
class Currency:
    """The name of the money and of its hundredth; no hundredth where nobody counts in it."""

    whole: Counted
    part: Counted | None = None


@dataclass(frozen=True, slots=True)
class Language:
    """The tables that the rules read by. Keys of `months` and `signs_within` are lower case."""

    numbers: Numbers
    currencies: Mapping[str, Currency]  # by sign or code, as written
    scales: Mapping[str, str]  # k, million …: the words behind an amount
    units: Mapping[str, Counted]  # by abbreviation, as written
    rates: Mapping[str, str]  # what stands behind a slash: month
    months: Mapping[str, int]  # names and abbreviations, 1 to 12
    symbols: Mapping[str, str]  # a sign on its own: & and
    marks: Mapping[str, str]  # a sign within an address: . dot
    year: Callable[[int], str]
    clock: Callable[[int, int, str], str]  # hour, minute, "am", "pm" or ""
    date: Callable[[int, int, int | None], str]  # day, month, year
    dated: re.Pattern[str]  # ends before a year: in, since
    counted: re.Pattern[str]  # begins behind a number that is no year: people
    conjunction: str  # between ringgit and sen
    to: str  # between the ends of a range
    per: str
    minus: str
    plus: str
    percent: str
    number: str  # the sign # before digits
