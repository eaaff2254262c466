"""Pause marks in a text: `[pause:500ms]`, `[pause: 1.5 s]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import UnsupportedValue

MAX_SILENCE_S, MAX_TOTAL_PAUSE_S = 10.0, 60.0
PAUSE = re.compile(r"\[pause:\s{0,3}(\d{1,6}(?:\.\d{1,6})?)\s{0,3}(ms|s)\]", re.IGNORECASE)
LONGEST_PAUSE = 29  # characters of a pause mark


@dataclass(frozen=True, slots=True)
class PausedText:
    """Text without pause marks, and the silence before it in seconds."""

    pause_s: float
    text: str


def split_at_pauses(text: str) -> list[PausedText]:
    """Split a text at its pause marks. `text` is empty between adjacent marks.

    Raises:
        UnsupportedValue: a pause exceeds 10 s, or all together exceed 60 s.
    """
    parts = PAUSE.split(text)
    found = [PausedText(0.0, parts[0])]
    for number, unit, behind in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found.append(PausedText(float(number) * (0.001 if unit.lower() == "ms" else 1), behind))
    check_pauses([paused_text.pause_s for paused_text in found])
    return found


def check_pauses(pauses_s: Sequence[float]) -> None:
    """Reject pauses that are too long, alone or together.

    Raises:
        UnsupportedValue: a pause exceeds 10 s, or all together exceed 60 s.
    """
    if max(pauses_s) > MAX_SILENCE_S or sum(pauses_s) > MAX_TOTAL_PAUSE_S:
        raise UnsupportedValue(
            "input: a pause must not exceed 10 s, and all pauses together 60 s", param="input"
        )


def open_pause(text: str) -> int:
    """Return the start of an incomplete pause mark at the end of the text, or the text's length."""
    start = text.rfind("[", max(0, len(text) - LONGEST_PAUSE))
    tail = text[start:].casefold() if start >= 0 else "]"
    begun = (
        tail.startswith("[pause:"[: len(tail)]) and "]" not in tail and len(tail) < LONGEST_PAUSE
    )
    return start if begun else len(text)
