"""Reader for scripts without a space between a number and the word after it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from text_normaliser.reader import Reader

Substitution = tuple[re.Pattern[str], str]


class UnspacedReader:
    """Reader that puts spaces around numbers, applies the shared rules and removes the spaces."""

    def __init__(
        self, reader: Reader, apart: Sequence[Substitution], joined: Sequence[Substitution]
    ) -> None:
        self._reader = reader
        self._apart = apart
        self._joined = joined

    def read(self, text: str) -> str:
        """Return the text in words, or the same object if there is nothing to read."""
        apart = _substituted(text, self._apart)
        spoken = self._reader.read(apart)
        return text if spoken is apart else _substituted(spoken, self._joined)


def _substituted(text: str, substitutions: Sequence[Substitution]) -> str:
    for pattern, replacement in substitutions:
        text = pattern.sub(replacement, text)
    return text
