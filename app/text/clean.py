"""Cleaning of a request's text before any other step reads it."""

from __future__ import annotations

import re
import unicodedata

from app.errors import EmptyInput
from app.text.emoji import strip_emoji
from app.text.html import strip_html
from app.text.markdown import strip_markdown

# Combining marks in a row. Vietnamese needs two and Tibetan three, floods have hundreds.
MAX_MARKS = 4
# Canonical combining class of the marks after which a joiner has a meaning (RFC 5892, appendix A).
VIRAMA = 9
JOINERS = frozenset("\u200c\u200d")
# Unicode's Default_Ignorable_Code_Point except for control, format and unassigned characters.
_IGNORABLE = re.compile(
    r"[\u034F\u115F\u1160\u17B4\u17B5\u180B-\u180F\u3164\uFE00-\uFE0F\uFFA0\U000E0100-\U000E01EF]"
)
_DELIMITER = re.compile(r"<\||\|>")
_TAG_START = re.compile(r"<(?=[\w/!])")


def clean_markup(text: str, *, normalize: bool) -> str:
    """Return the cleaned text, with `normalize` also without HTML, markdown and emoji.

    Raises:
        EmptyInput: no letter or digit is left.
    """
    return clean(strip_emoji(strip_markdown(strip_html(text))) if normalize else text)


def clean(text: str) -> str:
    """Return NFKC without invisible characters, mark floods, special tokens and extra whitespace.

    Special tokens are broken at their delimiters after NFKC, so that neither nested nor full-width
    forms become a token again. Idempotent, linear in time.

    Raises:
        EmptyInput: no letter or digit of any script is left.
    """
    text = " ".join(_break_special_tokens(_compose(text)).split())
    if not any(map(str.isalnum, text)):
        raise EmptyInput("input has no letter or digit to speak", param="input")
    return text


def _compose(text: str) -> str:
    """Return NFKC of the visible text. Floods go first, since normalising one is quadratic."""
    if text.isascii() and text.isprintable():
        return text
    text = _visible(text)
    while not unicodedata.is_normalized("NFKC", text):
        text = _visible(unicodedata.normalize("NFKC", text))
    return text


def _visible(text: str) -> str:
    """Remove control, format, private and unassigned characters, surrogates and mark floods."""
    visible: list[str] = []
    marks = 0
    for character in _IGNORABLE.sub("", text):
        group = unicodedata.category(character)[0]
        if character.isspace():
            visible.append(" ")
            marks = 0
        elif character in JOINERS:
            if visible and unicodedata.combining(visible[-1]) == VIRAMA:
                visible.append(character)
        elif group == "M":
            marks += 1
            if marks <= MAX_MARKS:
                visible.append(character)
        elif group != "C":
            visible.append(character)
            marks = 0
    return "".join(visible)


def _break_special_tokens(text: str) -> str:
    """Replace `<|` and `|>` by a space. Put a space after a `<` that could open a tag or token."""
    return _TAG_START.sub("< ", _DELIMITER.sub(" ", text))
