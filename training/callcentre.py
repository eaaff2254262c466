"""Generate call-centre sentences: digits, amounts, times, dates, letters, addresses, names.

Prose has few of these. They have the form of normalised text: single digits and letters are
separate words, and all else is spelled out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fifteenth", "eighteenth", "twentieth", "twenty first",
    "thirtieth",
)  # fmt: skip
PLACES = (
    "Kuala Lumpur", "Penang", "Johor Bahru", "Ipoh", "Malacca", "Kuching", "Singapore", "London",
    "New York", "Petaling Jaya", "Shah Alam", "Klang", "Jakarta", "Bangkok", "Sydney", "Dubai",
    "Paris", "Toronto",
)  # fmt: skip
NAMES = (
    "Ahmad", "Siti", "Tan", "Lim", "Raj", "Priya", "Farah", "Wong", "Hassan", "Nurul", "Kumar",
    "Mei Ling", "John", "Sarah", "David", "Emma", "Aminah", "Ismail", "Daniel", "Grace", "Aisyah",
    "Chong", "Faizal", "Maria",
)  # fmt: skip
MONEY = (("ringgit", "sen"), ("dollars", "cents"), ("pounds", "pence"), ("euros", "cents"))
MAILS = (
    "gmail dot com",
    "yahoo dot com",
    "example dot com",
    "outlook dot com",
    "support dot com dot my",
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SHORT = (
    "SMS", "ATM", "PIN", "ID", "IC", "KYC", "USB", "FAQ",
    "PDF", "VIP", "OTP", "CEO", "UK", "USA", "LRT", "KLIA",
)  # fmt: skip
TEMPLATES = (
    "Your passport number is {letter} {digits}.",
    "My phone number is {digits}, and my name is {name}.",
    "The reference code is {letter} {letter} {digits}.",
    "Please pay {money} before the {ordinal} of {month}.",
    "Your balance is {money}, {name}.",
    "The total comes to {money} for {number} items.",
    "Your appointment is at {time} on {day}, the {ordinal} of {month}.",
    "The flight to {place} leaves at {time} from gate {letter} {digit}.",
    "You can write to {mail}, or call {digits}.",
    "Send the form to {mail}.",
    "Your {short} was sent to the number ending in {digit} {digit} {digit} {digit}.",
    "The {short} costs {money} in {place}.",
    "It was {number} percent in {year}, and {number} percent a year later.",
    "{name} lives in {place}, at number {number}.",
    "We opened in {place} in {year}.",
    "Room {digits} is on floor {number}.",
    "Order number {digits} will arrive on {day} at {time}.",
    "Your one time password is {digits}.",
    "Press {digit} for {place}, or press {digit} for {name}.",
    "That is {letter} {letter} {letter}, {digit} {digit} {digit}.",
    "Good morning {name}, your parcel is {number} kilometers from {place}.",
    "The account number is {digits}, is that correct?",
    "Visit {site} for more about the {short}.",
    "The car with the plate {letter} {letter} {letter} {digit} {digit} {digit} {digit} "
    "belongs to {name}.",
)


def sentences(count: int, seed: int) -> Iterator[str]:
    """Generate random sentences."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield fill(TEMPLATES[rng.integers(len(TEMPLATES))], rng)


def fill(template: str, rng: np.random.Generator) -> str:
    """Fill each gap of a template at random."""
    first, *gaps = template.split("{")
    pairs = [gap.split("}") for gap in gaps]
    return first + "".join(_gap(name, rng) + rest for name, rest in pairs)


def _gap(name: str, rng: np.random.Generator) -> str:
    return _one(WORDS[name], rng) if name in WORDS else DRAWS[name](rng)


def cardinal(number: int) -> str:
    """Spell a number up to 999,999 in words, in American style."""
    if number < 100:
        return _below_hundred(number)
    size, word = (1000, "thousand") if number >= 1000 else (100, "hundred")
    rest = f" {cardinal(number % size)}" if number % size else ""
    return f"{cardinal(number // size)} {word}{rest}"


def _below_hundred(number: int) -> str:
    if number < 10:
        return DIGITS[number]
    if number < 20:
        return TEENS[number - 10]
    return TENS[number // 10 - 2] + (f" {DIGITS[number % 10]}" if number % 10 else "")


def _digits(rng: np.random.Generator) -> str:
    """Draw three to twelve digits, in groups of three or four."""
    groups = [
        " ".join(_one(DIGITS, rng) for _ in range(rng.integers(3, 5)))
        for _ in range(rng.integers(1, 4))
    ]
    return ", ".join(groups)


def _money(rng: np.random.Generator) -> str:
    whole, part = MONEY[rng.choice(len(MONEY), p=(0.55, 0.25, 0.1, 0.1))]
    amount = f"{cardinal(int(10 ** rng.uniform(0.3, 5)))} {whole}"
    if rng.random() >= 0.6:
        return amount
    return f"{amount} and {cardinal(int(rng.integers(1, 100)))} {part}"


def _time(rng: np.random.Generator) -> str:
    hour, minute = cardinal(int(rng.integers(1, 13))), int(rng.integers(0, 12)) * 5
    minutes = "" if minute == 0 else " o five" if minute == 5 else f" {cardinal(minute)}"
    return f"{hour}{minutes} {_one(('A M', 'P M', 'in the morning', 'in the evening'), rng)}"


def _number(rng: np.random.Generator) -> str:
    return cardinal(int(10 ** rng.uniform(0.5, 5)))


def _year(rng: np.random.Generator) -> str:
    return f"{_one(('nineteen', 'twenty'), rng)} {_below_hundred(int(rng.integers(10, 100)))}"


def _site(rng: np.random.Generator) -> str:
    return f"W W W dot {_one(NAMES, rng).lower()} dot com"


def _mail(rng: np.random.Generator) -> str:
    first, last = _one(NAMES, rng).lower(), _one(NAMES, rng).lower()
    return f"{first} dot {last} at {_one(MAILS, rng)}"


def _one(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]


WORDS: Mapping[str, Sequence[str]] = {
    "letter": LETTERS, "digit": DIGITS, "month": MONTHS, "day": DAYS, "ordinal": ORDINALS,
    "place": PLACES, "name": NAMES, "short": SHORT,
}  # fmt: skip
DRAWS: Mapping[str, Callable[[np.random.Generator], str]] = {
    "digits": _digits, "number": _number, "money": _money, "time": _time, "year": _year,
    "site": _site, "mail": _mail,
}  # fmt: skip
