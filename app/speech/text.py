"""Text as the model may see it: what a request's `input` becomes before anything else reads it."""

from __future__ import annotations

import re
import unicodedata

from app.request_errors import EmptyInput
from app.speech.emoji import without_emoji
from app.speech.html import without_html
from app.speech.markdown import plain

MAX_MARKS = (
    4  # combining marks in a row; Vietnamese and Tibetan need two and three, floods have hundreds
)
VIRAMA = 9  # canonical combining class of the marks after which a joiner has a meaning (RFC 5892, appendix A)
JOINERS = frozenset("\u200c\u200d")
# Unicode's Default_Ignorable_Code_Point, as far as it is not a control, format or unassigned character.
_IGNORABLE = re.compile(
    r"[\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u3164\uFE00-\uFE0F\uFFA0\U000E0100-\U000E01EF]"
)
_DELIMITER = re.compile(r"<\||\|>")
_TAG_START = re.compile(r"<(?=[\w/!])")


def prepare(text: str, *, normalize: bool) -> str:
    """The text to speak: cleaned, and with `normalize` also freed of HTML, markdown and emoji.

    Raises:
        EmptyInput: nothing is left to speak.
    """
    return clean(without_emoji(plain(without_html(text))) if normalize else text)


def clean(text: str) -> str:
    """NFKC without invisible characters, combining floods, special tokens and runs of whitespace.

    Special tokens are broken at their delimiters, after NFKC, so that neither nested nor
    full-width forms put themselves together again. Idempotent, linear in time.

    Raises:
        EmptyInput: no letter or digit of any script is left.
    """
    text = " ".join(_break_special_tokens(_compose(text)).split())
    if not any(map(str.isalnum, text)):
        raise EmptyInput("input holds nothing to speak", param="input")
    return text


def _compose(text: str) -> str:
    """NFKC of what is visible; floods go first, since normalising one takes quadratic time."""
    if text.isascii() and text.isprintable():
        return text
    text = _visible(text)
    while not unicodedata.is_normalized("NFKC", text):
        text = _visible(unicodedata.normalize("NFKC", text))
    return text


def _visible(text: str) -> str:
    """Text without control, format, private and unassigned characters and lone surrogates."""
    kept: list[str] = []
    marks = 0
    for character in _IGNORABLE.sub("", text):
        group = unicodedata.category(character)[0]
        if character.isspace():
            kept.append(" ")
            marks = 0
        elif character in JOINERS:
            if kept and unicodedata.combining(kept[-1]) == VIRAMA:
                kept.append(character)
        elif group == "M":
            marks += 1
            if marks <= MAX_MARKS:
                kept.append(character)
        elif group != "C":
            kept.append(character)
            marks = 0
    return "".join(kept)


def _break_special_tokens(text: str) -> str:
    """`<|` and `|>` become a space; a `<` that could open a tag or a token is set apart from it."""
    return _TAG_START.sub("< ", _DELIMITER.sub(" ", text))
