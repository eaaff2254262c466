"""Splitting of a text into sentences while it is still being received."""

from __future__ import annotations

import re
import unicodedata
from itertools import accumulate, pairwise

from app.text.pauses import PAUSE, open_pause
from app.text.split import spoken_length
from text_normaliser.segmenter import sentences

MIN_FIRST_CLAUSE = 20  # letters; a shorter clause is not worth a generation of its own
MAX_SENTENCE = 1_000  # characters, after which a sentence ends at the next space
MAX_STOPS = 400  # words after punctuation, after which a sentence also ends at the next space
MAX_BUFFER = 2_000  # characters, after which a sentence without such a space is cut
BLOCK = 1_000  # characters processed at once, so that a cut copies little of the text

_MARK = re.compile(rf"\n|{PAUSE.pattern}|[^\W_]+", re.IGNORECASE)
_CLAUSE_END = re.compile(r"[,;:)–—][\"'”’)\]]*\s+|[，、；：]")
_NUMBER = re.compile(r"\s*\d{1,3}[.)]\s*")  # number of a list item, whose text follows


class SentenceStream:
    """Splitter that receives a text in chunks and returns each sentence once its end is certain.

    The end of a sentence is certain when the first letter of the next one has arrived. At each
    letter after punctuation the segmenter reads the whole buffer again. A newline or a pause ends a
    sentence at once. The first sentence may be cut after a clause, so that speech starts early. The
    sentences do not depend on the chunks, because each decision uses only the text up to its own
    position.

    The time is linear in the text, because a buffer of at most MAX_BUFFER characters is segmented
    at most MAX_STOPS times before it is cut.
    """

    def __init__(self) -> None:
        self._buffer = ""
        self._seen = 0  # characters up to the end of the last mark
        self._searched = 0  # characters already searched for marks
        self._stops = 0  # words after punctuation in the buffer that started no sentence
        self._first = True

    def feed(self, text: str) -> list[str]:
        """Append a chunk, without lone surrogates, and return the sentences now certain."""
        text = text.encode("utf-8", "ignore").decode()
        blocks = (text[at : at + BLOCK] for at in range(0, len(text), BLOCK))
        return [sentence for block in blocks for sentence in self._add(block)]

    def flush(self) -> list[str]:
        """Return the buffered text as sentences, except for an incomplete pause mark at its end."""
        return self._cut(_sentence_ends(self._buffer[: open_pause(self._buffer)], last=True))

    def finish(self) -> list[str]:
        """Return the rest of the text as sentences."""
        return self._cut(_sentence_ends(self._buffer, last=True))

    def _add(self, text: str) -> list[str]:
        self._buffer += text
        found: list[str] = []
        certain = open_pause(self._buffer)
        while True:
            if mark := self._next_mark(min(certain, MAX_BUFFER)):
                gap = self._buffer[self._seen : mark.start()]
                self._seen = self._searched = mark.end()
                ends = self._ends(mark, gap)
            elif certain >= MAX_BUFFER:
                ends = [MAX_BUFFER]
            else:
                return found
            found += self._cut(ends)
            certain -= ends[-1] if ends else 0

    def _next_mark(self, before: int) -> re.Match[str] | None:
        """Return the next newline, pause or word if it begins before this position."""
        mark = _MARK.search(self._buffer, self._searched) if self._searched < before else None
        if mark and mark.start() < before:
            return mark
        self._searched = max(self._searched, before)
        return None

    def _ends(self, mark: re.Match[str], gap: str) -> list[int]:
        """Return the ends of pieces that `mark` makes certain. `gap` is the text before it."""
        start = mark.start()
        if not mark.group()[0].isalnum():
            return [mark.end()]
        punctuated = any(unicodedata.category(character) == "Po" for character in gap)
        if punctuated and self._stops < MAX_STOPS:
            if ends := _sentence_ends(self._buffer[: start + 1], last=False):
                return ends
            self._stops += 1
        if self._first and (clause := _CLAUSE_END.search(gap)):
            end = start - len(gap) + clause.end()
            return [end] if spoken_length(self._buffer[:end].strip()) >= MIN_FIRST_CLAUSE else []
        is_long = start > MAX_SENTENCE or self._stops >= MAX_STOPS
        return [start] if is_long and any(map(str.isspace, gap)) else []

    def _cut(self, ends: list[int]) -> list[str]:
        """Remove the pieces up to each end from the buffer and return all but blank ones."""
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
    """Return the positions after the sentences of a text. `last` adds the end of the text."""
    pieces = sentences(text)
    ends = [
        end
        for piece, end in zip(pieces, accumulate(map(len, pieces)), strict=True)
        if not _NUMBER.fullmatch(piece)
    ]
    return sorted({*ends, len(text)}) if last else [end for end in ends if end < len(text)]
