"""English as spoken in Malaysia: its words and its own rules."""

from __future__ import annotations

import re
from functools import cache

from text_normaliser.build import build
from text_normaliser.english_cues import CUES
from text_normaliser.english_short import SHORT
from text_normaliser.english_words import (
    CURRENCIES,
    MARKS,
    MONTH_NUMBERS,
    MONTHS,
    RATES,
    SCALES,
    SYMBOLS,
    UNITS,
)
from text_normaliser.language import Calendar, Language
from text_normaliser.numbers import Numbers, cldr
from text_normaliser.reader import Reader, rule, text_before

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBERS = Numbers(cldr("en"), DIGITS, "point")
FRACTIONS = {
    "1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter",
    "3/4": "three quarters",
}  # fmt: skip
COUNTED = re.compile(
    r" (?:people|customers|users|units|items|calls|staff|employees|points|copies|members|times"
    r"|words|pieces|meters|ringgit|sen|dollars|kilometers|miles|tonnes|seats|rooms|cars|votes"
    r"|steps|students|minutes|hours|days)\b"
)
EXTENSION = re.compile(r"\bext(?:ension)?\.?(?: no\.| number| is)? $", re.IGNORECASE)
DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip


def year(number: int) -> str:
    """Return "twenty twenty six", "nineteen o five" or "two thousand five"."""
    high, low = divmod(number, 100)
    if not 1100 <= number <= 2099 or number // 10 == 200:
        return NUMBERS.cardinal(str(number))
    if low == 0:
        return f"{NUMBERS.cardinal(str(high))} hundred"
    tens = NUMBERS.cardinal(str(low))
    return f"{NUMBERS.cardinal(str(high))} {'o ' if low < 10 else ''}{tens}"


def clock(hour: int, minute: int, half: str) -> str:
    """Return "nine thirty A M", "nine o'clock", "nine o five" or "fourteen hundred"."""
    if hour == 0 or (hour == 24 and minute):
        hour, half = 12, "am"
    after = f" {' '.join(half.upper())}" if half else ""
    spoken = NUMBERS.cardinal(str(hour))
    if minute:
        return f"{spoken} {'o ' if minute < 10 else ''}{NUMBERS.cardinal(str(minute))}{after}"
    if after:
        return spoken + after
    return f"{spoken} o'clock" if hour <= 12 else f"{spoken} hundred"


def date(day: int, month: int, of_year: int | None) -> str:
    """Return "the fifteenth of March twenty twenty six"."""
    spoken = f"the {NUMBERS.ordinal(str(day))} of {MONTHS[month - 1].capitalize()}"
    return f"{spoken} {year(of_year)}" if of_year else spoken


def month_first(day: int, month: int, of_year: int | None) -> str:
    """Return "March fifteenth, twenty twenty six"."""
    spoken = f"{MONTHS[month - 1].capitalize()} {NUMBERS.ordinal(str(day))}"
    return f"{spoken}, {year(of_year)}" if of_year else spoken


ENGLISH = Language(
    numbers=NUMBERS, cues=CUES, currencies=CURRENCIES, scales=SCALES, units=UNITS, rates=RATES,
    symbols=SYMBOLS, marks=MARKS, fractions=FRACTIONS, counted=COUNTED,
    calendar=Calendar(
        months=MONTH_NUMBERS, days=DAYS, day_ends="(?:st|nd|rd|th)?(?: of)?",
        halves=r"[ap]\.?m\b\.?", year=year, clock=clock, date=date, month_first=month_first,
        placed=lambda spoken, before, after: spoken,
    ),
    conjunction="and", to="to", versus="to", per="per", minus="minus", plus="plus", number="number",
    by="by", times="{} times", percent="{} percent", fraction="{} slash {}", rating="{} out of {}",
    toll_free=True,
)  # fmt: skip


def _feet(found: re.Match[str]) -> str:
    return f"{NUMBERS.cardinal(found['feet'])} foot {NUMBERS.cardinal(found['inches'])}"


def _ordinal(found: re.Match[str]) -> str:
    return NUMBERS.ordinal(found["number"])


def _military(found: re.Match[str]) -> str | None:
    """Read 0655 hrs, but not 2000 hrs, which may be a duration."""
    hour, minute = found["hour"], found["minute"]
    if minute == "00" and hour[0] != "0":
        return None
    first = NUMBERS.each(hour) if hour[0] == "0" else NUMBERS.cardinal(hour)
    if minute == "00":
        return f"{first} hundred hours"
    last = NUMBERS.each(minute) if minute[0] == "0" else NUMBERS.cardinal(minute)
    return f"{first} {last} hours"


def _extension(found: re.Match[str]) -> str | None:
    """Read an extension: 03-2296 8888 x 115, extension x204."""
    before = text_before(found, 16)
    if before.rstrip()[-1:].isdigit():
        return f"extension {NUMBERS.grouped(found['digits'])}"
    return NUMBERS.grouped(found["digits"]) if EXTENSION.search(before) else None


def _decade(found: re.Match[str]) -> str:
    text = found["decade"]
    century = f"{NUMBERS.cardinal(text[:2])} " if len(text) == 4 else ""
    return f"{century}{NUMBERS.cardinal(text[-2:]).removesuffix('y')}ies"


OWN = (
    rule("d", r"(?P<feet>\d)['’′] ?(?P<inches>\d{1,2})(?:[\"”″]|'')",
         _feet),
    rule("d", r"(?P<number>\d{1,2})(?:st|nd|rd|th) ?[-–] ?(?=\d{1,2}(?:st|nd|rd|th)(?![^\W_]))",
         lambda found: _ordinal(found) + " to "),
    rule("d", r"(?P<number>\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:st|nd|rd|th|ST|ND|RD|TH)(?![^\W_])",
         _ordinal),
    rule("d", r"(?P<hour>[01]\d|2[0-4])(?P<minute>[0-5]\d) ?(?:hrs|hours|h)(?![^\W_])", _military),
    rule("l", r"x ?(?P<digits>\d{2,6})(?![^\W_])", _extension),
    rule("l", r"FY ?(?P<year>20\d\d)(?![^\W_]|[.,/-]\d)",
         lambda found: f"F Y {year(int(found['year']))}"),
    rule("d", r"(?P<decade>(?:1[1-9]|20)?[2-9]0)['’]?s(?![^\W_])", _decade),
)  # fmt: skip


@cache
def reader() -> Reader:
    """Return the English reader."""
    return build(ENGLISH, SHORT, OWN, ordinal="the {}")
