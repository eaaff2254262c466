"""Pause marks in a text: `[pause:500ms]`, `[pause: 1.5 s]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import UnsupportedValue

MAX_PAUSE_S = 10.0
MAX_TOTAL_PAUSE_S = 60.0
PAUSE = re.compile(r"\[pause:\s{0,3}(\d{1,6}(?:\.\d{1,6})?)\s{0,3}(ms|s)\]", re.IGNORECASE)
MAX_MARK_CHARACTERS = 29  # characters of the longest pause mark


@dataclass(frozen=True, slots=True)
class PausedText:
    """Text without pause marks, and the silence before it in seconds."""

    pause_s: float
    text: str


def split_at_pauses(text: str) -> list[PausedText]:
    """Split a text at its pause marks. The text between adjacent marks is empty.

    Raises:
        UnsupportedValue: a pause exceeds 10 s, or all together exceed 60 s.
    """
    parts = PAUSE.split(text)
    found = [PausedText(0.0, parts[0])]
    for number, unit, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        pause_s = float(number) * (0.001 if unit.lower() == "ms" else 1)
        found.append(PausedText(pause_s, after))
    check_pauses([paused_text.pause_s for paused_text in found])
    return found


def check_pauses(pauses_s: Sequence[float]) -> None:
    """Reject pauses that are too long, alone or together.

    Raises:
        UnsupportedValue: a pause exceeds 10 s, or all together exceed 60 s.
    """
    if max(pauses_s) > MAX_PAUSE_S or sum(pauses_s) > MAX_TOTAL_PAUSE_S:
        raise UnsupportedValue(
            "input: a pause must not exceed 10 s, and all pauses together 60 s", param="input"
        )


def open_pause(text: str) -> int:
    """Return the start of an incomplete pause mark at the end of the text, or the text's length."""
    start = text.rfind("[", max(0, len(text) - MAX_MARK_CHARACTERS))
    tail = text[start:].casefold() if start >= 0 else "]"
    begins_mark = tail.startswith("[pause:"[: len(tail)])
    incomplete = "]" not in tail and len(tail) < MAX_MARK_CHARACTERS
    return start if begins_mark and incomplete else len(text)
