"""What is written becomes what is said: numbers, money, dates, addresses and abbreviations as words."""

from __future__ import annotations

from app.speech.normalise import english
from app.speech.normalise.detect import is_english


def normalise(text: str) -> str:
    """English text as it is spoken; Malay and other scripts stay as they are.

    What no rule can read stays; prose without digits, symbols and abbreviations is returned unchanged.
    Never raises, takes linear time. Letters that are spelt come out as capitals with spaces between,
    digits as words, commas where a speaker would pause.
    """
    spoken = read_english(text)
    return spoken if spoken is text or is_english(text) else text


def read_english(text: str) -> str:
    """Any text, read as English: for a voice that knows nothing else."""
    return english.reader().read(text)
