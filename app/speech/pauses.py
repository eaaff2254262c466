"""Pauses that a text asks for: `[pause:500ms]`, `[pause: 1.5 s]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.request_errors import UnsupportedValue

LONGEST_S, LONGEST_TOTAL_S = 10.0, 60.0
PAUSE = re.compile(r"\[pause:\s{0,3}(\d{1,6}(?:\.\d{1,6})?)\s{0,3}(ms|s)\]", re.IGNORECASE)
LONGEST_PAUSE = 29  # characters


@dataclass(frozen=True, slots=True)
class Passage:
    """Text without pauses, and the silence before it, in seconds."""

    pause_s: float
    text: str


def passages(text: str) -> list[Passage]:
    """The text between pauses, in order, none left out: `text` is empty where pauses follow each other.

    Raises:
        UnsupportedValue: a pause of more than 10 s, or more than 60 s in all.
    """
    parts = PAUSE.split(text)
    found = [Passage(0.0, parts[0])]
    for number, unit, behind in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found.append(Passage(float(number) * (0.001 if unit.lower() == "ms" else 1), behind))
    check_pauses([passage.pause_s for passage in found])
    return found


def check_pauses(pauses_s: Sequence[float]) -> None:
    """Refuse pauses that are too long, one or together.

    Raises:
        UnsupportedValue: a pause of more than 10 s, or more than 60 s in all.
    """
    if max(pauses_s) > LONGEST_S or sum(pauses_s) > LONGEST_TOTAL_S:
        raise UnsupportedValue("input: a pause lasts 10 s at most, all of them 60 s", param="input")


def open_pause(text: str) -> int:
    """Where a pause begins whose end has not come yet; the text's length where none does."""
    start = text.rfind("[", max(0, len(text) - LONGEST_PAUSE))
    tail = text[start:].casefold() if start >= 0 else "]"
    begun = (
        tail.startswith("[pause:"[: len(tail)]) and "]" not in tail and len(tail) < LONGEST_PAUSE
    )
    return start if begun else len(text)
