"""Rules for identifiers: web and e-mail addresses, telephone and identity card numbers, codes."""

from __future__ import annotations

import re

from text_normaliser.language import Language
from text_normaliser.reader import Rule, rule, text_before

LABEL = r"[a-zA-Z0-9][a-zA-Z0-9-]{0,62}"
TOP_LEVEL_DOMAIN = (
    r"(?:com|net|org|edu|gov|mil|info|biz|app|dev|io|ai|co|tv|me|my|sg|id|th|ph|vn|in|jp|cn|hk|tw"
    r"|kr|au|nz|uk|us|ca|eu|de|fr)"
)
FILES = r"(?:pdf|docx?|xlsx?|pptx?|csv|txt|zip|jpe?g|png|gif|mp3|mp4|wav|html?|exe|apk)"
HOST = rf"(?:{LABEL}\.){{1,6}}"
URL_CHARACTER = r"[^\s<>\"'“”\u3000-\uffff]"
PATH = rf"(?:[:/?#]{URL_CHARACTER}{{0,512}})?"
_PIECE = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]")
_RUN = re.compile(r"[A-Za-z]+|\d+")
_TRAILING = ".,;:!?)]}/"
# Words of two letters or without a vowel that are not spelt in an address.
SHORT_WORDS = frozenset({
    "my", "me", "go", "by", "in", "on", "us", "we", "no", "it", "at", "is", "to", "up", "so", "do",
    "be", "co",
})  # fmt: skip
SPELT_DOMAINS = frozenset({"us", "in", "uk", "id", "io", "ai", "tv"})  # top-level domains
# First words of the towns that follow most Malaysian postcodes.
TOWNS = frozenset({
    "Kuala", "Johor", "Petaling", "Shah", "Subang", "Pulau", "George", "Kota", "Kuching", "Ipoh",
    "Melaka", "Seremban", "KL", "PJ", "JB", "Putrajaya", "Cyberjaya", "Klang", "Kajang", "Kangar",
    "Alor", "Kuantan", "Bangi", "Seri", "Miri", "Butterworth",
})  # fmt: skip
VOWELS = re.compile(r"[aeiouyAEIOUY]")
CUE_CHARACTERS = 48  # characters before a match that are searched for a cue


def _before(found: re.Match[str]) -> str:
    return text_before(found, CUE_CHARACTERS)


def spell(letters: str) -> str:
    """Return the letters as capitals separated by spaces."""
    return " ".join(letter.upper() for letter in letters if letter.isalpha())


class Identifiers:
    """Rules for text that is read character by character."""

    def __init__(self, language: Language, spelt: frozenset[str]) -> None:
        self._language, self._spelt = language, spelt
        self.addresses: tuple[Rule, ...] = (
            rule("ld", rf"[\w.+-]{{1,64}}@{HOST}[a-zA-Z]{{2,24}}(?![\w@])", self._address),
            rule("l", rf"(?:https?|ftp)://{URL_CHARACTER}{{1,1024}}"
                 rf"|www\.{LABEL}{URL_CHARACTER}{{0,1024}}", self._url, any_case=True),
            rule("ld", rf"{HOST}{TOP_LEVEL_DOMAIN}(?![\w@-]|\.[a-z]){PATH}", self._url),
            rule("ld", rf"[\w-]{{1,64}}\.{FILES}(?![\w-])", self._address),
            rule("s", r"@(?P<name>[A-Za-z_]\w{1,63})", self._handle),
        )  # fmt: skip
        self.numbers: tuple[Rule, ...] = (
            rule("d", r"\d{1,3}-\d{1,3}(?![\w-])", self._house_number),
            rule("s", r"[*#](?:\d{1,20}[*#]){1,8}", self._keys),
            rule("d", r"\d{6}[- ]\d\d[- ]\d{4}(?![\w-])", self._groups),
            rule("ds", r"(?:\+\d{1,3}[- ]?)?(?:\(\d{1,4}\)[- ]?)?"
                 r"\d{1,4}(?:[- ]\d{2,8}){1,4}(?![\w-]|[.,/:]\d)", self._phone),
            rule("s", r"\+(?P<country>1|7|[2-9]\d)(?P<rest>\d{6,13})(?!\w)", self._international),
            rule("s", r"# ?(?P<code>\d[\d-]{0,30})(?![^\W_])", self._hash),
            rule("d", r"(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)", self._network),
        )  # fmt: skip
        self.codes: tuple[Rule, ...] = (
            rule("ld", r"(?P<airline>[A-Z]\d|\d[A-Z]) (?P<digits>\d{2,4})(?![^\W_])", self._flight),
            rule(
                "ld",
                r"(?=[A-Z-]{0,12}\d|\d{1,8}-?[A-Z])[A-Z\d]{1,32}(?:-[A-Z\d]{1,32}){0,8}(?![^\W_])",
                self._code,
            ),
            rule("d", r"\d{1,32}(?:-\d{1,32}){2,8}(?![^\W_])", self._code),
            rule(
                "l",
                r"(?=[A-Z/-]{2,24}\d)[A-Z]{1,12}(?:[/-][A-Z\d]{1,32}){1,8}(?![^\W_])",
                self._code,
            ),
            rule(
                "l",
                r"(?P<letters>[A-Z]{1,3}) ?(?P<digits>\d{1,4})(?: ?(?P<last>[A-Z]))?(?![^\W_])",
                self._plate,
            ),
            rule("d", r"\d{5}(?= (?P<town>[A-Z][a-z]+|KL|PJ|JB)(?![^\W_]))", self._postcode),
            rule("d", r"0\d++(?![.,]\d)|\d{7,}+(?![.,]\d)", self._long_number),
            rule("d", r"\d{2,6}(?![^\W_]|[.,/:-]\d)", self._named_number),
        )

    def _address(self, found: re.Match[str]) -> str:
        return self._spell_address(found.group())

    def _url(self, found: re.Match[str]) -> str:
        text = re.sub(r"^\w{3,5}://", "", found.group())
        address = text.rstrip(_TRAILING)
        ending = text[len(address) :].lstrip("/")
        return self._spell_address(address) + ending if address else ""

    def _spell_address(self, address: str) -> str:
        """Read an address as words, spelt letters, digits and names of signs."""
        host = address.partition("/")[0].rpartition("@")[2]
        spelt_domains = SPELT_DOMAINS & {host.lower().rpartition(".")[2]}
        spoken: list[str] = []
        for piece in _PIECE.findall(address):
            if piece.isdecimal():  # not isdigit, which is true for ¹
                spoken.append(self._language.numbers.each(piece))
            elif piece.isalpha():
                spoken.append(spell(piece) if piece.lower() in spelt_domains else _word(piece))
            else:
                spoken.append(self._language.marks.get(piece, ""))
        return " ".join(filter(None, spoken))

    def _handle(self, found: re.Match[str]) -> str:
        return f"{self._language.marks['@']} {self._spell_address(found['name'])}"

    def _keys(self, found: re.Match[str]) -> str:
        names = {"*": self._language.marks["*"], "#": self._language.marks["#"]}
        pieces = re.findall(r"\d+|[*#]", found.group())
        return " ".join(names.get(piece) or self._language.numbers.each(piece) for piece in pieces)

    def _groups(self, found: re.Match[str]) -> str:
        return ", ".join(map(self._language.numbers.grouped, re.findall(r"\d+", found.group())))

    def _phone(self, found: re.Match[str]) -> str | None:
        """Read the groups of digits as written, if this may be a telephone or card number."""
        text = found.group()
        parts = re.findall(r"\d+", text)
        digits = sum(map(len, parts))
        certain = text[0] in "+0(" or "(" in text or (len(parts) > 2 and max(map(len, parts)) > 2)
        if digits < 6 or not (certain or digits >= 7 or self._is_cued(found)):
            return None
        are_round = all(part.endswith("0") for part in parts)
        if len(parts) == 2 and len(text) == 9 and are_round and not certain:
            return None  # a range such as 1000-2000
        if text.startswith("+") and len(parts[0]) > 3:  # +6012-345
            parts[:1] = [parts[0][:2], parts[0][2:]]
        numbers = self._language.numbers
        spoken = [numbers.grouped(part) for part in parts]
        if self._language.toll_free and re.match(r"1[- ][83]00[- ]", text):
            spoken[:2] = [f"{numbers.cardinal(parts[0])} {numbers.cardinal(parts[1])}"]
        return (f"{self._language.plus} " if text.startswith("+") else "") + ", ".join(spoken)

    def _international(self, found: re.Match[str]) -> str:
        numbers = self._language.numbers
        country, rest = numbers.each(found["country"]), numbers.grouped(found["rest"])
        return f"{self._language.plus} {country}, {rest}"

    def _hash(self, found: re.Match[str]) -> str:
        parts = re.findall(r"\d+", found["code"])
        numbers = self._language.numbers
        spoken = [
            numbers.cardinal(part) if len(parts) == 1 and len(part) < 3 else numbers.grouped(part)
            for part in parts
        ]
        return f"{self._language.number} {', '.join(spoken)}"

    def _network(self, found: re.Match[str]) -> str:
        dot = f" {self._language.marks['.']} "
        return dot.join(map(self._language.numbers.each, found.group().split(".")))

    def _code(self, found: re.Match[str]) -> str | None:
        """Read mixed letters and digits: A1234567, INV-2026-0012, B-12-3A, KLIA2."""
        text = found.group()
        if text.isdigit() and "-" not in text:
            return None
        parts = re.split("[-/]", text)
        spoken = [" ".join(map(self._run, _RUN.findall(part))) for part in parts]
        name = len(spoken) == 2 and spoken[0] == parts[0] and len(spoken[0]) > 1  # COVID-19
        return (" " if name else ", ").join(spoken)

    def _run(self, run: str) -> str:
        """Read one or two digits as a number, more digits one by one.

        Keep more than three letters with a vowel as a word and spell other letters.
        """
        if not run.isdigit():
            word = len(run) > 3 and VOWELS.search(run) and run not in self._spelt
            return run if word else spell(run)
        numbers = self._language.numbers
        short = len(run) < 3 and not run.startswith("0")
        return numbers.cardinal(run) if short else numbers.grouped(run)

    def _plate(self, found: re.Match[str]) -> str | None:
        is_cued = self._language.cues.plate.search(_before(found))
        if not is_cued and not self._looks_like_plate(found):
            return None
        words = (
            spell(found["letters"]),
            self._language.numbers.each(found["digits"]),
            spell(found["last"] or ""),
        )
        return " ".join(filter(None, words))

    def _flight(self, found: re.Match[str]) -> str | None:
        """Read a flight number: D7 220, 3K 685."""
        if not self._language.cues.plate.search(_before(found)):
            return None
        numbers = self._language.numbers
        airline = [numbers.each(sign) if sign.isdigit() else sign for sign in found["airline"]]
        return " ".join([*airline, numbers.each(found["digits"])])

    def _looks_like_plate(self, found: re.Match[str]) -> bool:
        """True for WXY 1234, but not for SPM 2025, JUN 1234 or ISO 9001."""
        letters, digits = found["letters"], found["digits"]
        if len(letters) != 3 or len(digits) != 4 or found.group()[3] != " ":
            return False
        is_month = letters.lower() in self._language.calendar.months
        if is_month or letters in self._spelt or letters == "ISO":
            return False
        return not digits.startswith(("0", "19", "20"))

    def _house_number(self, found: re.Match[str]) -> str | None:
        """Read a house number, not a range: Unit 15-3."""
        if not self._language.cues.place.search(_before(found)):
            return None
        return ", ".join(map(self._floor, found.group().split("-")))

    def _floor(self, part: str) -> str:
        numbers = self._language.numbers
        return numbers.each(part) if part.startswith("0") else numbers.cardinal(part)

    def _postcode(self, found: re.Match[str]) -> str | None:
        known = found["town"] in TOWNS or _before(found).endswith(", ")
        return self._language.numbers.each(found.group()) if known else None

    def _is_cued(self, found: re.Match[str]) -> bool:
        """True if the words before a number make it a name: code 4821, ending in 9012."""
        return bool(self._language.cues.code.search(_before(found)))

    def _long_number(self, found: re.Match[str]) -> str | None:
        digits = found.group()
        if digits.endswith("000") and digits[0] != "0" and not self._is_cued(found):
            return None
        return self._language.numbers.grouped(digits)

    def _named_number(self, found: re.Match[str]) -> str | None:
        """Read a number that is a name digit by digit, unless it has two: room 12, order 15."""
        digits = found.group()
        if len(digits) <= 2 or not self._is_cued(found):
            return None
        return self._language.numbers.grouped(digits)


def _word(letters: str) -> str:
    """Read letters of an address as a word if they are pronounceable, else spell them."""
    low = letters.lower()
    if low == "www":
        return "W W W"
    pronounceable = low in SHORT_WORDS or (len(letters) > 2 and VOWELS.search(letters))
    return low if pronounceable else spell(letters)
