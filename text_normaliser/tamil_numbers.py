"""Joined Tamil numerals: ஆயிரத்து இருநூற்று ஐம்பது. CLDR's are separate words, some misspelt."""

from __future__ import annotations

from text_normaliser.numbers import Numbers, Speller

DIGITS = ("பூஜ்ஜியம்", "ஒன்று", "இரண்டு", "மூன்று", "நான்கு", "ஐந்து", "ஆறு", "ஏழு", "எட்டு", "ஒன்பது")
_TEENS = (
    "பத்து", "பதினொன்று", "பன்னிரண்டு", "பதிமூன்று", "பதினான்கு", "பதினைந்து", "பதினாறு", "பதினேழு",
    "பதினெட்டு", "பத்தொன்பது",
)  # fmt: skip
_TENS = ("இருபது", "முப்பது", "நாற்பது", "ஐம்பது", "அறுபது", "எழுபது", "எண்பது", "தொண்ணூறு")
_HUNDREDS = (
    "நூறு", "இருநூறு", "முந்நூறு", "நானூறு", "ஐநூறு", "அறுநூறு", "எழுநூறு", "எண்ணூறு", "தொள்ளாயிரம்",
)  # fmt: skip
# Endings of numerals, and their form before a further numeral as in twenty one.
_JOINTS = {
    "பது": "பத்து",
    "நூறு": "நூற்று",
    "ணூறு": "ணூற்று",
    "யிரம்": "யிரத்து",
    "லட்சம்": "லட்சத்து",
    "கோடி": "கோடியே",
}
_VOWEL_SIGNS = dict(zip("அஆஇஈஉஊஎஏஐஒஓ", ("", *"ாிீுூெேைொோ"), strict=True))


def joined(word: str, ending: str) -> str:
    """Join two words into one. A vowel at the seam becomes a sign: ஐந்து and ஆம் are ஐந்தாம்."""
    if ending[0] not in _VOWEL_SIGNS:
        return word + ending
    if word[-1] == "ி":
        return word + "ய" + _VOWEL_SIGNS[ending[0]] + ending[1:]
    stem = word[:-1] if word[-1] in "ு்" else word
    return stem + _VOWEL_SIGNS[ending[0]] + ending[1:]


def cardinal(number: int) -> str:
    """Return ஆயிரத்து இருநூற்று ஐம்பது, இருபத்தொன்று or ஒரு லட்சத்து இருபதாயிரம்."""
    if number < 20:
        return (*DIGITS, *_TEENS)[number]
    if number < 100:
        return _tens(*divmod(number, 10))
    for unit, words in (
        (10_000_000, _crores),
        (100_000, _lakhs),
        (1000, _thousands),
        (100, _hundreds),
    ):
        if number >= unit:
            count, rest = divmod(number, unit)
            return f"{_before_more(words(count))} {cardinal(rest)}" if rest else words(count)
    raise AssertionError(number)


def ordinal(number: int) -> str:
    """Return முதலாவது or இரண்டாவது."""
    return placed(number, "ஆவது")


def placed(number: int, ending: str) -> str:
    """Return the number with the ending ஆம் or ஆவது: முதலாம், பன்னிரண்டாம்."""
    return joined("முதல்" if number == 1 else cardinal(number), ending)


def _tens(tens: int, ones: int) -> str:
    word = _TENS[tens - 2]
    if not ones:
        return word
    before, digit = _before_more(word), DIGITS[ones]
    return joined(before, digit) if digit[0] in _VOWEL_SIGNS else f"{before} {digit}"


def _hundreds(count: int) -> str:
    return _HUNDREDS[count - 1]


def _thousands(count: int) -> str:
    """Return ஆயிரம், இரண்டாயிரம் or இருபத்தோராயிரம்."""
    if count == 1:
        return "ஆயிரம்"
    words = cardinal(count)
    if words.endswith("ொன்று"):
        return words.removesuffix("ொன்று") + "ோராயிரம்"
    return joined(words, "ஆயிரம்")


def _lakhs(count: int) -> str:
    return f"{_adjective(count)} லட்சம்"


def _crores(count: int) -> str:
    return f"{_adjective(count)} கோடி"


def _adjective(count: int) -> str:
    words = cardinal(count)
    for noun, adjective in (("ொன்று", "ொரு"), ("ஒன்று", "ஒரு")):
        if words.endswith(noun):
            return words.removesuffix(noun) + adjective
    return words


def _before_more(word: str) -> str:
    for end, joint in _JOINTS.items():
        if word.endswith(end):
            return word.removesuffix(end) + joint
    return word


NUMBERS = Numbers(Speller(cardinal, ordinal), DIGITS, "புள்ளி", counting={"1": "ஒரு"})
