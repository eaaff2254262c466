"""Scripts that set no space between a number and the word behind it, read by the rules that all share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.speech.normalise.reader import Reader

Substitution = tuple[re.Pattern[str], str]


class Spaced:
    """A reader before which numbers are set apart from words, and after which they are joined again."""

    def __init__(
        self, reader: Reader, apart: Sequence[Substitution], joined: Sequence[Substitution]
    ) -> None:
        self._reader, self._apart, self._joined = reader, apart, joined

    def read(self, text: str) -> str:
        """The text in words; one without anything to read is returned as it is."""
        apart = _substituted(text, self._apart)
        said = self._reader.read(apart)
        return text if said is apart else _substituted(said, self._joined)


def _substituted(text: str, substitutions: Sequence[Substitution]) -> str:
    for pattern, replacement in substitutions:
        text = pattern.sub(replacement, text)
    return text
