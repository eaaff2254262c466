"""Pictographs, which nobody reads out."""

from __future__ import annotations

import re

# Emoji and dingbats by block, without ❶ to ➓ and the arrows, which are read; joiners and selectors go with
# them. A keycap keeps its digit, ™ and © are signs: a list of emoji (the `emoji` package) would take all three.
_PICTURE = r"[\u231a-\u23ff\u2600-\u2775\u2795-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_JOINED = r"[\u200d\ufe0e\ufe0f\U000e0020-\U000e007f]"
_KEYCAP = re.compile(r"(?<=[0-9#*])\ufe0f?\u20e3")
_PICTURES = re.compile(rf"(?<!\s)\s*+(?:{_PICTURE}{_JOINED}*+\s*+)++(?P<behind>[^\s]?)")
_CLINGING = frozenset(".,;:!?)]}…。，！？；：、")


def without_emoji(text: str) -> str:
    """Text without emoji; a space stays where they stood between words. The same object if there are none."""
    if text.isascii():
        return text
    return _PICTURES.sub(_gap, _KEYCAP.sub("", text))


def _gap(found: re.Match[str]) -> str:
    """Line breaks stay; nothing comes between a word and its punctuation, or at the ends."""
    behind = found["behind"]
    if "\n" in found.group():
        return "\n" * found.group().count("\n") + behind
    apart = behind and behind not in _CLINGING and found.start()
    return (" " if apart else "") + behind
