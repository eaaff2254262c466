"""UTF-16 surrogate pairs that a client has split between two messages."""

from __future__ import annotations


class SurrogatePairs:
    """Filter that joins surrogate pairs across the chunks of a text and removes lone surrogates.

    JSON escapes a character above U+FFFF as two UTF-16 surrogates. A client that splits its text by
    UTF-16 length may send them in two messages.
    """

    def __init__(self) -> None:
        self._first_half = ""

    def feed(self, text: str) -> str:
        """Return a chunk, holding back the first half of a pair at its end."""
        text = self._first_half + text
        self._first_half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return joined(text[: len(text) - len(self._first_half)])


def joined(text: str) -> str:
    """Replace each surrogate pair by its character and remove lone surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
