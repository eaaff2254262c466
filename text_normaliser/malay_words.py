"""Malay words for months, money, measures and signs."""

from __future__ import annotations

from text_normaliser.language import Currency, same

MONTHS = (
    "januari", "februari", "mac", "april", "mei", "jun",
    "julai", "ogos", "september", "oktober", "november", "disember",
)  # fmt: skip
MONTH_NUMBERS = {
    **{name: index for index, name in enumerate(MONTHS, 1)},
    **{name[:3]: index for index, name in enumerate(MONTHS, 1)},
    "sept": 9, "january": 1, "february": 2, "march": 3, "mar": 3, "may": 5, "june": 6, "july": 7,
    "august": 8, "aug": 8, "october": 10, "oct": 10, "december": 12, "dec": 12,
}  # fmt: skip


def _currency(whole: str, part: str | None = "sen") -> Currency:
    return Currency(same(whole), same(part) if part else None)


CURRENCIES = {
    **dict.fromkeys(("RM", "MYR", "Rm"), _currency("ringgit")),
    "$": _currency("dolar"),
    **dict.fromkeys(("USD", "US$"), _currency("dolar Amerika")),
    **dict.fromkeys(("SGD", "S$"), _currency("dolar Singapura")),
    **dict.fromkeys(("AUD", "A$"), _currency("dolar Australia")),
    **dict.fromkeys(("HKD", "HK$"), _currency("dolar Hong Kong")),
    "BND": _currency("dolar Brunei"),
    **dict.fromkeys(("€", "EUR"), _currency("euro")),
    **dict.fromkeys(("£", "GBP"), _currency("paun", "peni")),
    **dict.fromkeys(("₹", "INR", "Rs"), _currency("rupee", "paisa")),
    **dict.fromkeys(("¥", "JPY"), _currency("yen", None)),
    **dict.fromkeys(("CNY", "RMB"), _currency("yuan", None)),
    **dict.fromkeys(("Rp", "IDR"), _currency("rupiah", None)),
    **dict.fromkeys(("฿", "THB"), _currency("baht", None)),
    **dict.fromkeys(("₱", "PHP"), _currency("peso", None)),
    "SAR": _currency("riyal", None),
}
SCALES = {
    **dict.fromkeys(("k", "K", "ribu"), "ribu"),
    **dict.fromkeys(("m", "M", "juta", "mil", "million"), "juta"),
    **dict.fromkeys(("b", "B", "bn", "bilion", "billion"), "bilion"),
    **dict.fromkeys(("trilion", "trillion"), "trilion"),
}
_BY_NAME = {
    "kilometer": ("km", "KM"), "meter": ("m",), "sentimeter": ("cm",), "milimeter": ("mm",),
    "kilogram": ("kg", "KG", "Kg"), "gram": ("g", "gm"), "miligram": ("mg",), "liter": ("l", "L"),
    "mililiter": ("ml", "mL"),
    "kilometer persegi": ("km2", "km²"), "meter persegi": ("m2", "m²", "mp"),
    "meter padu": ("m3", "m³"), "kaki persegi": ("sq ft", "sqft", "kps"), "kaki": ("ft",),
    "paun": ("lb", "lbs"), "auns": ("oz",),
    "kilometer sejam": ("km/h", "km/j", "kmh", "kmj", "kph"), "batu sejam": ("mph",),
    "meter sesaat": ("m/s",), "darjah Celsius": ("°C",), "darjah Fahrenheit": ("°F",),
    "darjah": ("°",), "kilobait": ("KB", "kB"), "megabait": ("MB",), "gigabait": ("GB",),
    "terabait": ("TB",), "megabait sesaat": ("MB/s",), "kilobit sesaat": ("kbps",),
    "megabit sesaat": ("Mbps", "mbps"), "gigabit sesaat": ("Gbps", "gbps"), "hertz": ("Hz",),
    "kilohertz": ("kHz",), "megahertz": ("MHz",), "gigahertz": ("GHz",), "watt": ("W",),
    "kilowatt": ("kW",), "kilowatt jam": ("kWh",), "volt": ("V",), "miliamp jam": ("mAh",),
    "jam": ("hr", "hrs", "j"), "minit": ("min", "mins", "mnt"), "saat": ("s", "sec", "secs"),
    "milisaat": ("ms",), "bulan": ("bln", "mth", "mths"), "tahun": ("thn", "yr", "yrs"),
    "hari": ("hr.",), "unit": ("pcs",), "hektar": ("ha",), "sen": ("¢",),
}  # fmt: skip
UNITS = {sign: same(name) for name, signs in _BY_NAME.items() for sign in signs}
RATES = {
    **{word: word for word in ("sebulan", "setahun", "sehari", "sejam", "seminggu", "seorang")},
    **dict.fromkeys(("saat", "s"), "sesaat"), **dict.fromkeys(("minit", "min"), "seminit"),
    **dict.fromkeys(("jam", "j", "hour", "hr", "h"), "sejam"),
    **dict.fromkeys(("hari", "day"), "sehari"),
    **dict.fromkeys(("malam", "night"), "satu malam"),  # semalam is yesterday
    **dict.fromkeys(("minggu", "week"), "seminggu"),
    **dict.fromkeys(("bulan", "bln", "month", "mth"), "sebulan"),
    **dict.fromkeys(("tahun", "thn", "year", "yr"), "setahun"),
    **dict.fromkeys(("orang", "pax", "person"), "seorang"), "unit": "seunit", "kg": "sekilogram",
    "km": "sekilometer", "GB": "satu gigabait", "MB": "satu megabait",
    "g": "segram", "gram": "segram", "liter": "seliter", "transaksi": "setiap transaksi",
    "pelanggan": "setiap pelanggan", "kali": "sekali",
    "sms": "setiap S M S", "SMS": "setiap S M S", "panggilan": "setiap panggilan",
    "keping": "sekeping",
}  # fmt: skip
SYMBOLS = {
    "&": "dan", "+": "tambah", "=": "sama dengan", "@": "alias", "%": "peratus", "°": "darjah",
    "±": "tambah atau tolak", "×": "darab", "÷": "bahagi", "→": "ke", "²": "kuasa dua",
    "³": "kuasa tiga", "©": "hak cipta", "™": "", "®": "", "•": "", "*": "", "_": "", "|": ",",
    "\\": "", "^": "", "#": "hash", "§": "seksyen", ".": "perpuluhan", "<": "kurang daripada",
    ">": "lebih daripada", "~": "kira-kira", "/": "per", ":": "nisbah", "#word": "hashtag",
}  # fmt: skip
# Names used on the telephone. Dictionaries have titik, sengkang and garis bawah.
MARKS = {
    ".": "dot", "@": "at", "-": "dash", "_": "underscore", "+": "plus", "/": "slash",
    ":": "titik bertindih", "?": "tanda soal", "=": "sama dengan", "&": "dan", "#": "hash",
    "%": "peratus", "~": "tilde", "*": "bintang",
}  # fmt: skip
