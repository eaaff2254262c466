"""Sentences out of a text that is still being written."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate, pairwise

from app.speech.pauses import PAUSE, open_pause
from app.speech.sentences import sentences, spoken_length

FIRST_CLAUSE = 20  # letters: less is not worth a generation of its own
LONGEST = 1_000  # characters: a sentence that is longer ends at the next space
MOST_STOPS = (
    400  # places behind punctuation: a sentence with more of them ends at the next space, too
)
LONGEST_RUN = 2_000  # characters: a sentence that has no such space ends here
STRETCH = 1_000  # characters that are taken at once, so that a cut copies little of the text

_MARK = re.compile(rf"\n|{PAUSE.pattern}|[^\W_]+", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[,;:)–—][\"'”’)\]]*\s+|[，、；：]")
_NUMBER = re.compile(r"\s*\d{1,3}[.)]\s*")  # of a list item, whose text follows


class SentenceFeed:
    """Takes a text in pieces of any size, and gives its sentences as soon as they are certain.

    A sentence is certain once the first letter of the next one is there: the segmenter looks at the
    whole buffer again at each letter behind a stop. A newline and a pause end one at once. The first
    piece of all ends at a clause already, so that speech begins soon. What is given depends on the
    text and not on the way it was cut, for every decision sees the text up to its own place only.

    The time is linear in the text: a buffer of at most LONGEST_RUN characters is segmented at most
    MOST_STOPS times before it is cut.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._seen = 0  # characters that can no longer decide anything
        self._searched = 0  # characters in which no further mark begins
        self._stops = 0  # places behind punctuation in the buffer that ended no sentence
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Take a piece of the text; give the sentences that are certain now. Lone surrogates are removed."""
        text = text.encode("utf-8", "ignore").decode()
        stretches = (text[at : at + STRETCH] for at in range(0, len(text), STRETCH))
        return [sentence for stretch in stretches for sentence in self._take(stretch)]

    def flush(self) -> list[str]:
        """Give what is there; of a pause that has only begun, nothing."""
        return self._cut(_sentence_ends(self._buffer[: open_pause(self._buffer)], last=True))

    def finish(self) -> list[str]:
        """Give the rest."""
        return self._cut(_sentence_ends(self._buffer, last=True))

    def _take(self, text: str) -> list[str]:
        self._buffer += text
        found: list[str] = []
        certain = open_pause(self._buffer)
        while True:
            if mark := self._next_mark(min(certain, LONGEST_RUN)):
                gap = self._buffer[self._seen : mark.start()]
                self._seen = self._searched = mark.end()
                ends = self._ends(mark, gap)
            elif certain >= LONGEST_RUN:
                ends = [LONGEST_RUN]
            else:
                return found
            found += self._cut(ends)
            certain -= ends[-1] if ends else 0

    def _next_mark(self, before: int) -> re.Match[str] | None:
        """The next newline, pause or word, if it begins before this place."""
        mark = _MARK.search(self._buffer, self._searched) if self._searched < before else None
        if mark and mark.start() < before:
            return mark
        self._searched = max(self._searched, before)
        return None

    def _ends(self, mark: re.Match[str], gap: str) -> list[int]:
        """Where pieces end, now that `mark` has come, `gap` behind the one before."""
        start = mark.start()
        if not mark.group()[0].isalnum():
            return [mark.end()]
        if self._stops < MOST_STOPS and any(
            unicodedata.category(character) == "Po" for character in gap
        ):
            if ends := _sentence_ends(self._buffer[: start + 1], last=False):
                return ends
            self._stops += 1
        if self._first and (clause := _CLAUSE_END.search(gap)):
            end = start - len(gap) + clause.end()
            return [end] if spoken_length(self._buffer[:end].strip()) >= FIRST_CLAUSE else []
        is_long = start > LONGEST or self._stops >= MOST_STOPS
        return [start] if is_long and any(map(str.isspace, gap)) else []

    def _cut(self, ends: list[int]) -> list[str]:
        """Take the pieces up to each end out of the buffer; those of nothing but spaces are left out."""
        if not ends:
            return []
        pieces = [self._buffer[a:b] for a, b in pairwise([0, *ends])]
        cut = ends[-1]
        self._buffer = self._buffer[cut:]
        self._seen, self._searched = max(0, self._seen - cut), max(0, self._searched - cut)
        self._stops = 0
        found = [piece for piece in pieces if piece.strip()]
        self._first = self._first and not found
        return found


def _sentence_ends(text: str, *, last: bool) -> list[int]:
    """Places in a text behind its sentences, and with `last` the text's own end."""
    pieces = sentences(text)
    ends = [
        end
        for piece, end in zip(pieces, accumulate(map(len, pieces)), strict=True)
        if not _NUMBER.fullmatch(piece)
    ]
    return sorted({*ends, len(text)}) if last else [end for end in ends if end < len(text)]
