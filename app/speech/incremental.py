"""Sentences out of a text that is still being written."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate

from app.speech.pauses import PAUSE, open_pause
from app.speech.sentences import sentences, spoken_length

FIRST_CLAUSE = 20  # letters: less is not worth a generation of its own
LONGEST = 1_000  # characters: a writer without stops is cut between words

_MARK = re.compile(rf"\n|{PAUSE.pattern}|[^\W_]+", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[,;:)–—][\"'”’)\]]*\s+|[，、；：]")
_NUMBER = re.compile(r"\s*\d{1,3}[.)]\s*")  # of a list item, whose text follows


class SentenceFeed:
    """Takes a text in pieces of any size, and gives its sentences as soon as they are certain.

    A sentence is certain once the first letter of the next one is there: the segmenter looks at the
    whole buffer again at each letter behind a stop. A newline and a pause end one at once. The first
    piece of all ends at a clause already, so that speech begins soon. What is given depends on the
    text and not on the way it was cut, for every decision sees the text up to its own place only.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._seen = 0  # characters that can no longer decide anything
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Take a piece of the text; give the sentences that are certain now. Lone surrogates are removed."""
        self._buffer += text.encode("utf-8", "ignore").decode()
        held = len(self._buffer) - open_pause(self._buffer)
        found: list[str] = []
        while (mark := _MARK.search(self._buffer, self._seen)) and mark.start() < len(self._buffer) - held:
            gap, self._seen = self._buffer[self._seen : mark.start()], mark.end()
            found += self._cut(self._ends(mark, gap))
        return found

    def flush(self) -> list[str]:
        """Give what is there; of a pause that has only begun, nothing."""
        return self._cut(_sentence_ends(self._buffer[: open_pause(self._buffer)], last=True))

    def finish(self) -> list[str]:
        """Give the rest."""
        return self._cut(_sentence_ends(self._buffer, last=True))

    def _ends(self, mark: re.Match[str], gap: str) -> list[int]:
        """Where pieces end, now that `mark` has come, `gap` behind the one before."""
        start = mark.start()
        if not mark.group()[0].isalnum():
            return [mark.end()]
        if any(unicodedata.category(character) == "Po" for character in gap) and (
            ends := _sentence_ends(self._buffer[: start + 1], last=False)
        ):
            return ends
        if self._first and (clause := _CLAUSE_END.search(gap)):
            end = start - len(gap) + clause.end()
            return [end] if spoken_length(self._buffer[:end].strip()) >= FIRST_CLAUSE else []
        return [start] if start > LONGEST and any(map(str.isspace, gap)) else []

    def _cut(self, ends: list[int]) -> list[str]:
        """Take the pieces up to each end out of the buffer; those of nothing but spaces are left out."""
        pieces = [self._buffer[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        cut = ends[-1] if ends else 0
        self._buffer, self._seen = self._buffer[cut:], max(0, self._seen - cut)
        found = [piece for piece in pieces if piece.strip()]
        self._first = self._first and not found
        return found


def _sentence_ends(text: str, *, last: bool) -> list[int]:
    """Where the sentences of a text end, and with `last` the text itself."""
    pieces = sentences(text)
    ends = [
        end for piece, end in zip(pieces, accumulate(map(len, pieces)), strict=True) if not _NUMBER.fullmatch(piece)
    ]
    return sorted({*ends, len(text)}) if last else [end for end in ends if end < len(text)]
