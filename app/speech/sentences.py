"""Text that is too long for one generation, cut where a reader would breathe."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import sentencex  # pyright: ignore[reportMissingTypeStubs]

# Malay abbreviations, which sentencex takes for the end of a sentence (measured on each, 1.0.32).
ABBREVIATIONS = (
    *("En", "Pn", "Tn", "Hj", "Hjh", "Ust", "Ustz", "Ir", "Ts", "Jln", "Lrg", "Kg", "Tmn", "Bdr", "Sdn", "Bil"),
    *("cth", "dll", "dsb", "dst", "spt", "sbb", "hlm", "tel"),
)
_segment: Callable[[str, str], list[str]] = sentencex.segment  # pyright: ignore
_ABBREVIATION_END = re.compile(rf"(?<!\w)(?:{'|'.join(ABBREVIATIONS)})\.\s*\Z")
_CLAUSE = re.compile(r".+?(?:[,;:)–—]\s+|[，、；：]|\Z)", re.DOTALL)
_WORD = re.compile(r"\S*\s*")
_CHARACTER = re.compile(r"[\W_]*[^\W_][\W_]*|[\W_]+")  # combining marks stay with their letter


def split(text: str, max_characters: int) -> list[str]:
    """The text in pieces of at most `max_characters`, in order; nothing but whitespace is lost.

    Whole sentences are packed together. A sentence that is too long is cut after clauses, then
    between words, then between characters. Every piece holds a letter or digit, unless a run of
    other characters is longer than a piece. `text` holds no lone surrogates.
    """
    if len(text) <= max_characters:
        return [text]
    pieces = _pack(text, max_characters, (_sentences, _CLAUSE.findall, _WORD.findall, _CHARACTER.findall))
    return [piece.strip() for piece in pieces if piece.strip()]


def _pack(text: str, max_characters: int, cuts: tuple[Callable[[str], list[str]], ...]) -> list[str]:
    """Units of the first cut, as many to a piece as fit; units that do not fit are cut by the next."""
    if not cuts:
        return [text[start : start + max_characters] for start in range(0, len(text), max_characters)]
    pieces = [""]
    for unit in _speaking(cuts[0](text)):
        if len((pieces[-1] + unit).strip()) <= max_characters:
            pieces[-1] += unit
        elif len(unit.strip()) <= max_characters:
            pieces.append(unit)
        else:
            pieces += _pack(unit, max_characters, cuts[1:])
    return pieces


def _speaking(units: Iterable[str]) -> Iterator[str]:
    """The units, with those that hold nothing to speak joined to the one before (or after)."""
    group: list[str] = []
    for unit in units:
        if _speaks(unit) and any(map(_speaks, group[:1])):
            yield "".join(group)
            group.clear()
        group.append(unit)
    yield "".join(group)


def _speaks(text: str) -> bool:
    return any(map(str.isalnum, text))


def _sentences(text: str) -> list[str]:
    joined: list[str] = []
    for sentence in _segment("en", text):
        if joined and _ABBREVIATION_END.search(joined[-1]):
            joined[-1] += sentence
        else:
            joined.append(sentence)
    return joined
