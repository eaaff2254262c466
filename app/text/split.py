"""Splitting of a text that is too long for a single generation into pieces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from text_normaliser.segmenter import sentences

# Letters added for a character that takes longer to speak than a letter. A digit is a word of
# 0.4 s, a capital among capitals a letter's name, a symbol its name, a CJK character a syllable.
_SLOW = (
    (re.compile(r"\d"), 5),
    (re.compile(r"[A-Z](?=[A-Z])|(?<=[A-Z])[A-Z]"), 3),
    (re.compile(r"[$€£¥%@#&+=/\\_<>^*~]"), 5),
    (re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"), 3),
)
_CLAUSE = re.compile(r".+?(?:[,;:)–—]\s+|[，、；：]|\Z)", re.DOTALL)
_WORD = re.compile(r"\S*\s*")
_CHARACTER = re.compile(r"[\W_]*[^\W_][\W_]*|[\W_]+")  # combining marks stay with their letter


def spoken_length(text: str) -> int:
    """Return the spoken length in letters of ordinary prose, at least the number of characters."""
    return len(text) + sum(weight * len(slow.findall(text)) for slow, weight in _SLOW)


def split(text: str, max_characters: int) -> list[str]:
    """Split a text into pieces whose spoken length is at most `max_characters`.

    Only whitespace is lost. Whole sentences are packed together. A sentence that is too long is cut
    after clauses, then between words, then between characters. Every piece has a letter or digit,
    unless a run of other characters is longer than a piece. `text` has no lone surrogates.
    """
    if spoken_length(text) <= max_characters:
        return [text]
    cuts = (sentences, _CLAUSE.findall, _WORD.findall, _CHARACTER.findall)
    pieces = _pack(text, max_characters, cuts)
    return [piece.strip() for piece in pieces if piece.strip()]


def _pack(
    text: str, max_characters: int, cuts: tuple[Callable[[str], list[str]], ...]
) -> list[str]:
    """Pack units of the first cut into pieces. A unit that does not fit is cut by the next cut."""
    if not cuts:
        starts = range(0, len(text), max_characters)
        return [text[start : start + max_characters] for start in starts]
    pieces = [""]
    used = 0
    for unit in _with_speech(cuts[0](text)):
        length = spoken_length(unit.strip())
        if used + length <= max_characters:
            pieces[-1] += unit
            used += spoken_length(unit)
        elif length <= max_characters:
            pieces.append(unit)
            used = spoken_length(unit)
        else:
            pieces += _pack(unit, max_characters, cuts[1:])
            used = max_characters
    return pieces


def _with_speech(units: Iterable[str]) -> Iterator[str]:
    """Yield the units. One without a letter or digit is joined to the one before (or after)."""
    group: list[str] = []
    for unit in units:
        if _has_speech(unit) and any(map(_has_speech, group[:1])):
            yield "".join(group)
            group.clear()
        group.append(unit)
    yield "".join(group)


def _has_speech(text: str) -> bool:
    return any(map(str.isalnum, text))
