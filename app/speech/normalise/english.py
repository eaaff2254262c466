"""English as it is spoken in Malaysia: its words, and the rules that are its own."""

from __future__ import annotations

import re
from functools import cache

from app.speech.normalise.abbreviations import Abbreviations
from app.speech.normalise.amounts import Amounts
from app.speech.normalise.contacts import Contacts
from app.speech.normalise.english_short import SHORT
from app.speech.normalise.english_words import (
    CURRENCIES,
    MARKS,
    MONTH_NUMBERS,
    MONTHS,
    RATES,
    SCALES,
    SYMBOLS,
    UNITS,
)
from app.speech.normalise.language import Language
from app.speech.normalise.money import Money
from app.speech.normalise.numbers import Numbers
from app.speech.normalise.reader import Reader, Rule, rule
from app.speech.normalise.times import Times

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBERS = Numbers("en", DIGITS, "point")
FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
YEAR_CUE = re.compile(
    r"\b(?:in|since|year|from|of|by|until|till|to|after|before|early|late|circa|and|AD) $", re.IGNORECASE
)
COUNTED = re.compile(
    r" (?:people|customers|users|units|items|calls|staff|employees|points|copies|members|times|words|pieces|meters"
    r"|ringgit|sen|dollars|kilometers|miles|tonnes|seats|rooms|cars|votes|steps|students|minutes|hours|days)\b"
)
STREET = re.compile(
    r"\b(?:Jalan|Jln\.?|Lorong|Lrg\.?|Section|Seksyen|Persiaran|Lebuh|Taman|Lot|No\.?|Unit|Block|Road) (?:[A-Z]{1,4})?$"
)
DATE_CUE = re.compile(
    r"\b(?:on|by|before|until|till|since|from|due|dated|after|ends?|expires|starts?|begins?) (?:the )?$", re.IGNORECASE
)


def year(number: int) -> str:
    """Twenty twenty six, nineteen o five, two thousand five."""
    high, low = divmod(number, 100)
    if not 1100 <= number <= 2099 or number // 10 == 200:
        return NUMBERS.cardinal(str(number))
    if low == 0:
        return f"{NUMBERS.cardinal(str(high))} hundred"
    tens = NUMBERS.cardinal(str(low))
    return f"{NUMBERS.cardinal(str(high))} {'o ' if low < 10 else ''}{tens}"


def clock(hour: int, minute: int, half: str) -> str:
    """Nine thirty A M, nine o'clock, nine o five, fourteen hundred."""
    if hour == 0 or (hour == 24 and minute):
        hour, half = 12, "am"
    behind = f" {' '.join(half.upper())}" if half else ""
    said = NUMBERS.cardinal(str(hour))
    if minute:
        return f"{said} {'o ' if minute < 10 else ''}{NUMBERS.cardinal(str(minute))}{behind}"
    if behind:
        return said + behind
    return f"{said} o'clock" if hour <= 12 else f"{said} hundred"


def date(day: int, month: int, of_year: int | None) -> str:
    """The fifteenth of March twenty twenty six."""
    said = f"the {NUMBERS.ordinal(str(day))} of {MONTHS[month - 1].capitalize()}"
    return f"{said} {year(of_year)}" if of_year else said


ENGLISH = Language(
    numbers=NUMBERS, currencies=CURRENCIES, scales=SCALES, units=UNITS, rates=RATES, months=MONTH_NUMBERS,
    symbols=SYMBOLS, marks=MARKS, year=year, clock=clock, date=date,
    dated=YEAR_CUE, counted=COUNTED,
    conjunction="and", to="to", per="per", minus="minus", plus="plus", percent="percent", number="number",
)  # fmt: skip


def _ordinal(found: re.Match[str]) -> str:
    return NUMBERS.ordinal(found["number"])


def _decade(found: re.Match[str]) -> str:
    text = found["decade"]
    century = f"{NUMBERS.cardinal(text[:2])} " if len(text) == 4 else ""
    return f"{century}{NUMBERS.cardinal(text[-2:]).removesuffix('y')}ies"


def _fraction(found: re.Match[str]) -> str:
    """24/7, 1/2, 10/10, a day and month where the words before ask for one, and else what is written."""
    text, first, last = found.group().replace("⁄", "/"), found["first"], found["last"]
    before = found.string[max(0, found.start() - 24) : found.start()]
    if text in FRACTIONS and not STREET.search(before):
        return FRACTIONS[text]
    one, other = NUMBERS.cardinal(first), NUMBERS.cardinal(last)
    if int(last) == 10 and int(first) <= 10:
        return f"{one} out of {other}"
    if text == "24/7" or first == last:
        return f"{one} {other}"
    if DATE_CUE.search(before) and 1 <= int(first) <= 31 and 1 <= int(last) <= 12:
        return date(int(first), int(last), None)
    return f"{one} slash {other}"


def _days(found: re.Match[str]) -> str:
    return f"{DAYS[found['first']]} to {DAYS[found['last']]}"


def _star(found: re.Match[str]) -> str | None:
    """5 * 3, and the key of a telephone."""
    before = found.string[max(0, found.start() - 16) : found.start()]
    if before.rstrip()[-1:].isdigit() and found.string[found.end() : found.end() + 8].lstrip()[:1].isdigit():
        return "times"
    return "star" if KEY_CUE.search(before) else None


def _compared(found: re.Match[str]) -> str:
    return "less than" if found.group().startswith("<") else "greater than"


KEY_CUE = re.compile(r"\b(?:press|dial|key in|enter|then|or) $", re.IGNORECASE)
DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thurs": "Thursday",
    "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
OWN = (
    rule("l", r"(?P<first>Mon|Tues?|Wed|Thu|Thurs|Fri|Sat|Sun)\.? ?[-–] ?(?P<last>Mon|Tues?|Wed|Thu|Thurs|Fri|Sat|Sun)"
              r"(?![^\W_])", _days),
    rule("d", r"(?P<first>\d{1,6}(?:\.\d{1,4})?) ?[xX×] ?(?=\d)",
         lambda found: NUMBERS.number(found["first"]) + " by "),
    rule("d", r"(?P<number>\d{1,6}(?:\.\d{1,4})?)x(?![^\W_])",
         lambda found: f"{NUMBERS.number(found['number'])} {'time' if found['number'] == '1' else 'times'}"),
    rule("d", r"(?P<number>\d{1,4}) x (?=[A-Za-z])", lambda found: NUMBERS.cardinal(found["number"]) + " "),
    rule("d", r"(?P<first>\d{1,2}\.\d) ?/ ?(?P<last>5|10|100)(?![\w.])",
         lambda found: f"{NUMBERS.number(found['first'])} out of {NUMBERS.cardinal(found['last'])}"),
    rule("d", r"(?P<feet>\d)['’′] ?(?P<inches>\d{1,2})(?:[\"”″]|'')",
         lambda found: f"{NUMBERS.cardinal(found['feet'])} foot {NUMBERS.cardinal(found['inches'])}"),
    rule("d", r"(?P<number>\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:st|nd|rd|th|ST|ND|RD|TH)(?![^\W_])", _ordinal),
    rule("d", r"(?P<decade>(?:1[1-9]|20)?[2-9]0)['’]?s(?![^\W_])", _decade),
    rule("d", r"(?P<first>\d{1,4})[/⁄](?P<last>\d{1,4})(?![^\W_]|[/⁄.,:-]\d)", _fraction),
    rule("d", r"(?P<first>\d{1,3}):(?P<last>\d{1,3})(?![^\W_]|[:.,/-]\d)",
         lambda found: f"{NUMBERS.cardinal(found['first'])} to {NUMBERS.cardinal(found['last'])}"),
    rule("d", r"(?P<digit>[2345])G(?![^\W_])", lambda found: f"{NUMBERS.cardinal(found['digit'])} G"),
    rule("s", r"[<>](?= ?[\d$€£R-])", _compared),
    rule("s", r"~(?=[\d$€£R])", lambda _: "about"),
    rule("s", r"#(?=[A-Za-z])", lambda _: "hashtag"),
    rule("s", r"\*", _star),
    rule("s", r"(?<=\w)[/⁄](?=\d)", lambda _: "slash"),
)  # fmt: skip


def _symbol(found: re.Match[str]) -> str:
    return SYMBOLS[found.group()]


SIGNS: tuple[Rule, ...] = (rule("s", r"[&+=@%°±×÷→#§²³©™®•*_|\\^]", _symbol),)


@cache
def reader() -> Reader:
    """The rules in their order: the surest first, numbers on their own last."""
    contacts, amounts = Contacts(ENGLISH, SHORT.spelt), Amounts(ENGLISH)
    short = Abbreviations(SHORT, NUMBERS, "the {}")
    times, money = Times(ENGLISH), Money(ENGLISH)
    return Reader(
        (
            *(*contacts.addresses, *times.rules, *money.rules, *contacts.numbers, *OWN, *amounts.rules),
            *(*short.before_numbers, *contacts.codes, *short.rules, *amounts.plain, *SIGNS),
        ),
        SHORT.dotted,
    )
