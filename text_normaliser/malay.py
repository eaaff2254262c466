"""Malay as spoken in Malaysia: its words and its own rules."""

from __future__ import annotations

import re
from functools import cache

from text_normaliser.build import build
from text_normaliser.language import Calendar, Language
from text_normaliser.malay_cues import CUES
from text_normaliser.malay_short import SHORT
from text_normaliser.malay_words import (
    CURRENCIES,
    MARKS,
    MONTH_NUMBERS,
    MONTHS,
    RATES,
    SCALES,
    SYMBOLS,
    UNITS,
)
from text_normaliser.numbers import Numbers, Speller, cldr
from text_normaliser.reader import Reader, rule, text_before

DIGITS = ("kosong", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "lapan", "sembilan")
FRACTIONS = {
    "1/2": "setengah", "1/3": "satu pertiga", "2/3": "dua pertiga", "1/4": "suku",
    "3/4": "tiga suku",
}  # fmt: skip
DAYS = {
    "Isn": "Isnin", "Sel": "Selasa", "Rab": "Rabu", "Kha": "Khamis", "Jum": "Jumaat",
    "Sab": "Sabtu", "Ahd": "Ahad",
    **{day: day for day in ("Isnin", "Selasa", "Rabu", "Khamis", "Jumaat", "Sabtu", "Ahad")},
}  # fmt: skip
_PARTS = "pagi|subuh|petang|ptg|tengah ?hari|tengahari|tgh ?hari|tengah ?malam|malam|mlm"
HALVES = rf"(?:[ap]\.?m\b\.?|(?:{_PARTS})\b(?:(?<=ptg|mlm)\.)?)"
SPELT_OUT = {
    "ptg": "petang", "mlm": "malam",
    **dict.fromkeys(("tgh hari", "tghhari", "tengahari", "tengahhari"), "tengah hari"),
}  # fmt: skip
SAYS_TIME = re.compile(
    r"\b(?:pukul|jam|hingga|sehingga|sampai|antara|dan|atau|ke) $", re.IGNORECASE
)
ONLY_NIGHT = re.compile(r"\w+(?: belas)? malam")


def _cardinal(number: int) -> str | None:
    """Return CLDR's words, except "satu juta" for one million, as on cheques and to customers."""
    words = cldr("ms").cardinal(number)
    return words and re.sub(r"^sejuta\b", "satu juta", words)


def _ordinal(number: int) -> str | None:
    return "pertama" if number == 1 else f"ke{_cardinal(number)}"


NUMBERS = Numbers(Speller(_cardinal, _ordinal), DIGITS, "perpuluhan")


def year(number: int) -> str:
    """Return "dua ribu dua puluh enam"."""
    return NUMBERS.cardinal(str(number))


def clock(hour: int, minute: int, half: str) -> str:
    """Return "tiga tiga puluh petang", "lapan lima minit" or "dua belas tengah hari".

    Hours are always spoken as 1 to 12.
    """
    if half == "pm":
        half = _part_of_day(hour % 12 + 12)
    elif half == "am":
        half = _part_of_day(hour % 12)
    elif hour > 12 or hour == 0:
        half = _part_of_day(hour % 24)
    hours = NUMBERS.cardinal(str(hour % 12 or 12))
    minutes = NUMBERS.cardinal(str(minute)) if minute else ""
    if 0 < minute < 10:
        minutes += " minit"
    return " ".join(filter(None, (hours, minutes, SPELT_OUT.get(half, half))))


def _part_of_day(hour: int) -> str:
    parts = {1: "tengah malam", 12: "pagi", 14: "tengah hari", 19: "petang", 24: "malam"}
    return next(part for end, part in parts.items() if hour < end)


def placed(spoken: str, before: str, after: str) -> str:
    """Add "pukul" unless a word for the time precedes or "dua malam" may be two nights."""
    return spoken if SAYS_TIME.search(before) or ONLY_NIGHT.fullmatch(spoken) else f"pukul {spoken}"


def date(day: int, month: int, of_year: int | None) -> str:
    """Return "dua belas November dua ribu dua puluh enam"."""
    spoken = f"{NUMBERS.cardinal(str(day))} {MONTHS[month - 1].capitalize()}"
    return f"{spoken} {year(of_year)}" if of_year else spoken


MALAY = Language(
    numbers=NUMBERS, cues=CUES, currencies=CURRENCIES, scales=SCALES, units=UNITS, rates=RATES,
    symbols=SYMBOLS, marks=MARKS, fractions=FRACTIONS, counted=re.compile("(?!)"),
    calendar=Calendar(
        months=MONTH_NUMBERS, days=DAYS, day_ends=r"(?: ?hb\.?| hari ?bulan)?", halves=HALVES,
        year=year, clock=clock, date=date, month_first=date, placed=placed,
    ),
    conjunction="", to="hingga", versus="berbalas", per="", minus="negatif", plus="tambah",
    number="nombor", by="kali", times="{} kali", percent="{} peratus", fraction="{} per {}",
    rating="{} daripada {}",
)  # fmt: skip


def _place(found: re.Match[str]) -> str:
    """Read ke-3 and KE-3 as an ordinal: ketiga."""
    spoken = NUMBERS.ordinal(found["number"])
    return spoken.capitalize() if found.group()[0] == "K" else spoken


def _decade(found: re.Match[str]) -> str:
    return NUMBERS.cardinal(found["number"]) + "an"


def _doubled(found: re.Match[str]) -> str:
    """Read buku2 as buku-buku."""
    return f"{found['word']}-{found['word'].lower()}{found['end'] or ''}"


def _four_digits(found: re.Match[str]) -> str | None:
    """Read four digits as a time after a word for it: jam 2030."""
    before = text_before(found)
    return clock(int(found["hour"]), int(found["minute"]), "") if CUES.time.search(before) else None


OWN = (
    rule("l", r"[Kk][Ee]-(?P<number>\d{1,6})(?![^\W_]|[.,:/-]\d)", _place),
    rule("d", r"(?P<number>\d{1,4})-an(?![^\W_])", _decade),
    rule("d", r"(?P<day>\d{1,2}) ?(?:hb|haribulan)(?![^\W_])",
         lambda found: NUMBERS.cardinal(found["day"]) + " hari bulan"),
    rule("d", r"(?P<hour>[01]\d|2[0-4])(?P<minute>[0-5]\d)(?![^\W_]|[.,:/-]\d)", _four_digits),
    rule("l", r"(?P<word>[A-Za-z][a-z]{2,20})2(?P<end>nya|an|kan)?(?![^\W_])", _doubled),
)  # fmt: skip


@cache
def reader() -> Reader:
    """Return the Malay reader."""
    return build(MALAY, SHORT, OWN, ordinal="{}")
