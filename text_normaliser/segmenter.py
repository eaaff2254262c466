"""Splitting of a text into sentences by sentencex, with Malay abbreviations and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable

import sentencex  # pyright: ignore[reportMissingTypeStubs]

# Malay abbreviations after which sentencex ends a sentence (each one tested with version 1.0.32).
ABBREVIATIONS = (
    "En", "Pn", "Tn", "Hj", "Hjh", "Ust", "Ustz", "Ir", "Ts", "Jln", "Lrg", "Kg", "Tmn", "Bdr",
    "Sdn", "Bil", "cth", "dll", "dsb", "dst", "spt", "sbb", "hlm", "tel",
)  # fmt: skip
END_CHARACTERS = 8  # last characters of a sentence that can hold an abbreviation with its point
BLOCK = 5_000  # characters that are segmented at once
_segment: Callable[[str, str], list[str]] = sentencex.segment  # pyright: ignore
_ABBREVIATION_END = re.compile(rf"(?<!\w)(?:{'|'.join(ABBREVIATIONS)})\.\Z")


def sentences(text: str) -> list[str]:
    """Split a text after each sentence, keeping every character. `text` has no lone surrogates.

    A text longer than BLOCK is segmented in blocks that start with a sentence, since sentencex
    takes quadratic time.
    """
    found: list[str] = []
    at = 0
    while len(text) - at > BLOCK:
        block = _joined(text[at : at + BLOCK])
        complete = block[:-1] or [text[at : _last_space(text, at)]]
        found += complete
        at += sum(map(len, complete))
    return found + _joined(text[at:])


def _last_space(text: str, start: int) -> int:
    """Return the end of the last word in a block, or the block's end if it has no space."""
    end = start + BLOCK
    return next((at + 1 for at in range(end - 1, start, -1) if text[at].isspace()), end)


def _joined(text: str) -> list[str]:
    """Return sentencex's sentences, rejoined after an abbreviation or within a word."""
    joined: list[list[str]] = []
    end = before = ""
    for piece in _segment("en", text):
        if joined and (_ABBREVIATION_END.search(end) or _is_within_word(before, piece)):
            joined[-1].append(piece)
        else:
            joined.append([piece])
            end = ""
        end, before = (end + piece).rstrip()[-END_CHARACTERS:], piece
    return ["".join(pieces) for pieces in joined]


def _is_within_word(before: str, after: str) -> bool:
    """True at the point of an address: sentencex cuts 电邮到help@example.com there."""
    return before.endswith(".") and after[:1].isascii() and after[:1].isalnum()
