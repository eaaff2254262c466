"""Removal of emoji and other pictographs."""

from __future__ import annotations

import re

# Emoji and dingbats by block, with their joiners and selectors. ❶ to ➓ and the arrows stay, since
# they are spoken. So do the digit of a keycap, ™ and ©, which the `emoji` package would remove.
_PICTURE = r"[\u231a-\u23ff\u2600-\u2775\u2795-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_JOINED = r"[\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]"
_KEYCAP = re.compile(r"(?<=[0-9#*])\ufe0f?\u20e3")
_PICTURES = re.compile(rf"(?<!\s)\s*+(?:{_PICTURE}{_JOINED}*+\s*+)++(?P<after>[^\s]?)")
_NO_SPACE_BEFORE = frozenset(".,;:!?)]}…。，！？；：、")


def strip_emoji(text: str) -> str:
    """Return the text with emoji between words replaced by a space, and other emoji removed.

    A text without emoji is returned as the same object.
    """
    if text.isascii():
        return text
    return _PICTURES.sub(_gap, _KEYCAP.sub("", text))


def _gap(found: re.Match[str]) -> str:
    """Keep line breaks. Leave no space before punctuation or at either end of the text."""
    after = found["after"]
    if "\n" in found.group():
        return "\n" * found.group().count("\n") + after
    needs_space = after and after not in _NO_SPACE_BEFORE and found.start()
    return (" " if needs_space else "") + after
