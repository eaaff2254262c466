"""English words for months, money, measures and signs."""

from __future__ import annotations

from text_normaliser.language import Currency, Inflected, same

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
MONTH_NUMBERS = {
    **{name: index for index, name in enumerate(MONTHS, 1)},
    **{name[:3]: index for index, name in enumerate(MONTHS, 1)},
    "sept": 9,
}


def _regular(word: str) -> Inflected:
    return Inflected(word, word + "s")


CENTS = _regular("cent")
RINGGIT = Currency(same("ringgit"), same("sen"))
DOLLAR = Currency(_regular("dollar"), CENTS)
EURO = Currency(_regular("euro"), CENTS)
POUND = Currency(_regular("pound"), Inflected("penny", "pence"))
RUPEE = Currency(_regular("rupee"), Inflected("paisa", "paise"))


def _dollars(country: str) -> Currency:
    return Currency(_regular(f"{country} dollar"), CENTS)


CURRENCIES = {
    **dict.fromkeys(("RM", "MYR", "Rm"), RINGGIT),
    **dict.fromkeys(("$", "USD"), DOLLAR),
    "US$": _dollars("U S"),
    **dict.fromkeys(("S$", "SGD"), _dollars("Singapore")),
    **dict.fromkeys(("A$", "AUD"), _dollars("Australian")),
    **dict.fromkeys(("HK$", "HKD"), _dollars("Hong Kong")),
    **dict.fromkeys(("€", "EUR"), EURO),
    **dict.fromkeys(("£", "GBP"), POUND),
    **dict.fromkeys(("₹", "INR", "Rs"), RUPEE),
    **dict.fromkeys(("¥", "JPY"), Currency(same("yen"))),
    **dict.fromkeys(("CNY", "RMB"), Currency(same("yuan"))),
    **dict.fromkeys(("Rp", "IDR"), Currency(same("rupiah"))),
    **dict.fromkeys(("฿", "THB"), Currency(same("baht"))),
    **dict.fromkeys(("₱", "PHP"), Currency(_regular("peso"))),
}
SCALES = {
    **dict.fromkeys(("k", "K", "thousand"), "thousand"),
    **dict.fromkeys(("m", "M", "mil", "mn", "million"), "million"),
    **dict.fromkeys(("b", "B", "bn", "billion"), "billion"),
    "trillion": "trillion",
}
UNITS = {
    **dict.fromkeys(("km", "KM"), _regular("kilometer")), "m": _regular("meter"),
    "cm": _regular("centimeter"), "mm": _regular("millimeter"),
    **dict.fromkeys(("kg", "KG", "Kg"), _regular("kilogram")), "g": _regular("gram"),
    "mg": _regular("milligram"), "l": _regular("liter"), "L": _regular("liter"),
    "ml": _regular("milliliter"), "mL": _regular("milliliter"), "km2": _regular("square kilometer"),
    "m2": _regular("square meter"), "m3": _regular("cubic meter"),
    "km²": _regular("square kilometer"), "m²": _regular("square meter"),
    "m³": _regular("cubic meter"), "sq ft": Inflected("square foot", "square feet"),
    "sqft": Inflected("square foot", "square feet"), "ft": Inflected("foot", "feet"),
    "lb": _regular("pound"), "lbs": _regular("pound"), "oz": _regular("ounce"),
    **dict.fromkeys(
        ("km/h", "kmh", "kph", "km/j"), Inflected("kilometer per hour", "kilometers per hour")
    ),
    "mph": Inflected("mile per hour", "miles per hour"),
    "m/s": Inflected("meter per second", "meters per second"),
    "°C": Inflected("degree Celsius", "degrees Celsius"),
    "°F": Inflected("degree Fahrenheit", "degrees Fahrenheit"), "°": _regular("degree"),
    "KB": _regular("kilobyte"), "kB": _regular("kilobyte"), "MB": _regular("megabyte"),
    "GB": _regular("gigabyte"), "TB": _regular("terabyte"),
    "MB/s": Inflected("megabyte per second", "megabytes per second"),
    "kbps": Inflected("kilobit per second", "kilobits per second"),
    "Mbps": Inflected("megabit per second", "megabits per second"),
    "Gbps": Inflected("gigabit per second", "gigabits per second"), "Hz": same("hertz"),
    "kHz": same("kilohertz"), "MHz": same("megahertz"), "GHz": same("gigahertz"),
    "W": _regular("watt"), "kW": _regular("kilowatt"), "kWh": _regular("kilowatt hour"),
    "V": _regular("volt"), "mAh": _regular("milliamp hour"),
    "hr": _regular("hour"), "hrs": _regular("hour"), "min": _regular("minute"),
    "mins": _regular("minute"), "sec": _regular("second"), "secs": _regular("second"),
    "s": _regular("second"), "ms": _regular("millisecond"), "mth": _regular("month"),
    "mths": _regular("month"), "yr": _regular("year"), "yrs": _regular("year"),
    "pcs": _regular("piece"), "¢": CENTS,
}  # fmt: skip
RATES = {
    **{word: word for word in ("second", "minute", "hour", "day", "night", "week", "month")},
    **{word: word for word in ("year", "person", "unit", "user")},
    "hr": "hour", "h": "hour", "min": "minute", "mth": "month", "mo": "month", "yr": "year",
    "pax": "person", "kg": "kilogram", "km": "kilometer", "GB": "gigabyte", "MB": "megabyte",
    "s": "second",
}  # fmt: skip
SYMBOLS = {
    "&": "and", "+": "plus", "=": "equals", "@": "at", "%": "percent", "°": "degrees",
    "±": "plus or minus", "×": "times", "÷": "divided by", "→": "to", "²": "squared", "³": "cubed",
    "©": "copyright", "™": "", "®": "", "•": "", "*": "", "_": "", "|": ",", "\\": "", "^": "",
    "#": "hash", "§": "section", ".": "point", "<": "less than", ">": "greater than", "~": "about",
    "/": "slash", "-": "to", ":": "to", "#word": "hashtag",
}  # fmt: skip
MARKS = {
    ".": "dot", "@": "at", "-": "dash", "_": "underscore", "+": "plus", "/": "slash", ":": "colon",
    "?": "question mark", "=": "equals", "&": "and", "#": "hash", "%": "percent", "~": "tilde",
    "*": "star",
}  # fmt: skip
