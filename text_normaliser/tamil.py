"""Tamil as spoken in Malaysia: its words and its own rules."""

from __future__ import annotations

import re
from functools import cache

from text_normaliser.abbreviations import ShortForms
from text_normaliser.build import build
from text_normaliser.english_short import FIXED, SPELT
from text_normaliser.language import Calendar, Cues, Language
from text_normaliser.money import either
from text_normaliser.numbers import NUMBER
from text_normaliser.reader import rule, text_before
from text_normaliser.tamil_numbers import NUMBERS, joined, placed
from text_normaliser.tamil_words import (
    CURRENCIES,
    MARKS,
    MONTH_NUMBERS,
    MONTHS,
    NOUNS,
    RATES,
    SCALES,
    SYMBOLS,
    UNITS,
)
from text_normaliser.unspaced import UnspacedReader

TAMIL = r"[\u0b80-\u0bff]"
DAY_PARTS = "காலை|மாலை|இரவு|பிற்பகல்|முற்பகல்|நண்பகல்|மதியம்|அதிகாலை|நள்ளிரவு"
NAMED = (
    "எண்|எண்ணை|எண்ணுக்கு|குறியீடு|கணக்கு|தொலைபேசி|கைபேசி|அழைக்க|அழைக்கவும்|கடவுச்சொல்|அறை|ஆர்டர்|பேருந்து|விமானம்"
    "|கடைசி நான்கு இலக்கங்கள்|OTP|TAC|PIN|IC|ID"
)
CUES = Cues(
    code=re.compile(rf"(?:{NAMED})(?: எண்)?(?: ஆனது| :|:|-| என்பது)* $"),
    plate=re.compile("வாகன|கார்|பதிவு|விமான"),
    place=re.compile("(?!)"),
    street=re.compile(r"(?:Jalan|Jln\.?|ஜாலான்|சாலை|பிரிவு) (?:[A-Z]{1,4})?$"),
    date=re.compile(r"(?:தேதி|நாள்|முதல்|வரை)[: ]+$"),
    expiry=re.compile("(?!)"),
    year=re.compile("(?!)"),
    time=re.compile(rf"(?:{DAY_PARTS}) $"),
    key=re.compile("(?:அழுத்தவும்|அல்லது|பிறகு) $"),
)
_SAYS_PART = re.compile(rf"(?:{DAY_PARTS}) $")
_MONTH_BEFORE = re.compile(rf"(?:{either(MONTH_NUMBERS)}) $")
CASES = "க்கு|இலிருந்து|லிருந்து|இல்|ல்|ஐ|உம்"


def year(number: int) -> str:
    """Return இரண்டாயிரத்து இருபத்தாறு."""
    return NUMBERS.cardinal(str(number))


def clock(hour: int, minute: int, half: str) -> str:
    """Return மூன்று முப்பது, with the part of the day if the time as written gives it."""
    part = ""
    if half == "pm":
        part = _part_of_day(hour % 12 + 12) + " "
    elif half == "am":
        part = _part_of_day(hour % 12) + " "
    elif half or hour > 12 or hour == 0:
        part = _part_of_day(hour % 24) + " "
    twelve = str(hour % 12 or 12)
    if not minute:
        return part + NUMBERS.count(twelve)
    return f"{part}{NUMBERS.cardinal(twelve)} {NUMBERS.cardinal(str(minute))}"


def _part_of_day(hour: int) -> str:
    parts = {4: "அதிகாலை", 12: "காலை", 13: "நண்பகல்", 16: "பிற்பகல்", 19: "மாலை", 24: "இரவு"}
    return next(part for end, part in parts.items() if hour < end)


def in_place(spoken: str, before: str, after: str) -> str:
    """Append மணி unless it follows, and drop the part of the day if it precedes."""
    part, _, rest = spoken.partition(" ")
    if _SAYS_PART.search(before) and re.fullmatch(DAY_PARTS, part):
        spoken = rest
    return spoken if after.startswith(" மணி") else f"{spoken} மணி"


def date(day: int, month: int, of_year: int | None) -> str:
    """Return இரண்டாயிரத்து இருபத்தாறாம் ஆண்டு நவம்பர் பன்னிரண்டாம் தேதி."""
    spoken = f"{MONTHS[month - 1]} {placed(day, 'ஆம்')} தேதி"
    return f"{placed(of_year, 'ஆம்')} ஆண்டு {spoken}" if of_year else spoken


LANGUAGE = Language(
    numbers=NUMBERS, cues=CUES, currencies=CURRENCIES, scales=SCALES, units=UNITS, rates=RATES,
    symbols=SYMBOLS, marks=MARKS, fractions={"1/2": "அரை", "1/4": "கால்", "3/4": "முக்கால்"},
    counted=re.compile(""),
    calendar=Calendar(
        months=MONTH_NUMBERS, days={}, day_ends="(?: ?ஆம்)?(?: தேதி)?", halves=r"[ap]\.?m\b\.?",
        year=year, clock=clock, date=date, month_first=date, placed=in_place,
    ),
    conjunction="", to="முதல்", versus="க்கு", per="", minus="மைனஸ்", plus="பிளஸ்", number="எண்",
    by="பெருக்கல்", times="{} மடங்கு", percent="{} விழுக்காடு", fraction="{} கீழ் {}",
    rating="{1}க்கு {0}",
)  # fmt: skip
SHORT = ShortForms(
    titles={}, before_number={"No": "எண்", "no": "எண்"}, dotted={}, fixed=FIXED | {"&": "மற்றும்"},
    spelt=frozenset(SPELT), sentence_starts=frozenset(), numbered=frozenset(),
    regnal_names=frozenset(), bare={},
)  # fmt: skip


def _row(found: re.Match[str]) -> str:
    return placed(int(found["number"]), "ஆவது" if found["ending"].endswith("து") else "ஆம்")


def _cased(found: re.Match[str]) -> str:
    """Join the number and its ending in one word: 5க்கு, 1-ஐ. Read 999 ஐ அழைக்கவும் digit by digit."""
    number, text = found["number"], found.string
    ending = {"ல்": "இல்", "லிருந்து": "இலிருந்து"}.get(found["ending"], found["ending"])
    before = text_before(found, 40)
    named = CUES.code.search(before) or text.startswith(" அழை", found.end())
    each = named and number.isdigit() and len(number) > 2
    return joined(NUMBERS.grouped(number) if each else NUMBERS.number(number), ending)


def _day(found: re.Match[str]) -> str | None:
    """Read a day of the month: the 12 of நவம்பர் 12."""
    before = text_before(found)
    day = int(found["day"])
    return f"{placed(day, 'ஆம்')} தேதி" if 1 <= day <= 31 and _MONTH_BEFORE.search(before) else None


OWN = (
    rule("d", r"(?P<day>\d{1,2})(?: ?-?ஆம்| ?-?ம்)?(?: தேதி)?(?![\w\u0b80-\u0bff]|[.,:/-]\d)", _day),
    rule("d", rf"(?P<year>[12]\d{{3}})(?= (?:{either(MONTH_NUMBERS)}) )",
         lambda found: f"{placed(int(found['year']), 'ஆம்')} ஆண்டு"),
    rule("d", rf"(?P<number>\d{{1,9}}) ?-?(?P<ending>ஆம்|ம்|ஆவது|வது)(?!{TAMIL})", _row),
    rule("d", rf"(?P<number>{NUMBER}) ?-?(?P<ending>{CASES})(?!{TAMIL})", _cased),
    rule("d", rf"1(?= (?:{NOUNS}))(?![.,:/]\d)", lambda _: "ஒரு"),
)  # fmt: skip
APART = (
    (re.compile(r"ரூ\.? ?(?=\d)"), "₹"),
    (re.compile(rf"(?<={TAMIL})(?=[A-Za-z0-9$€£¥₹])|(?<=[A-Za-z0-9%])(?={TAMIL})"), " "),
)
JOINED = (
    (re.compile(r"தேதி (?:ஆம் )?தேதி"), "தேதி"),
    (re.compile(rf"(?<=ரிங்கிட்) -?க்கு(?!{TAMIL})"), "டுக்கு"),
    (re.compile(rf"சென் -?க்கு(?!{TAMIL})"), "சென்னுக்கு"),
    (re.compile(rf"விழுக்காடு -?க்கு(?!{TAMIL})"), "விழுக்காட்டுக்கு"),
    (re.compile(r"\b க்கு "), "க்கு "),
)


@cache
def reader() -> UnspacedReader:
    """Return the Tamil reader."""
    return UnspacedReader(build(LANGUAGE, SHORT, OWN, ordinal="{}"), APART, JOINED)
