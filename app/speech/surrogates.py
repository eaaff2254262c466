"""Characters that JSON writes in two halves, and that a writer has cut between them."""

from __future__ import annotations


class SurrogatePairs:
    """Joins the halves of characters between the pieces of a text; a half alone is removed.

    JSON escapes a character beyond U+FFFF as two UTF-16 surrogates, and programs that count in them
    may send one with one message and one with the next.
    """

    def __init__(self) -> None:
        self._first_half = ""

    def feed(self, text: str) -> str:
        """Take a piece of the text; give it without the half at its end, which waits for the other one."""
        text = self._first_half + text
        self._first_half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return joined(text[: len(text) - len(self._first_half)])


def joined(text: str) -> str:
    """The text with each pair of surrogates as the character that it stands for, and without those alone."""
    return (
        text
        if text.isascii()
        else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    )
