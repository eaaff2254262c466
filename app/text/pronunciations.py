"""Pronunciations of words that differ from their spelling: names, brands, places."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.errors import ConfigError

# A run of letters and digits, or a single character of Chinese and Japanese, which use no spaces.
_UNSPACED = "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_START = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


class PronunciationsError(ConfigError):
    """Unreadable file of pronunciations. The message is one line with the file and the line."""


@dataclass(frozen=True, slots=True)
class _Entry:
    written: str
    spoken: str
    exact: bool  # case-sensitive, since the entry has capitals after its first character

    def matches_at(self, text: str, start: int) -> bool:
        end = start + len(self.written)
        found = text[start:end]
        same = found == self.written if self.exact else found.lower() == self.written.lower()
        return same and not _is_inside(text[end : end + 1], self.written[-1])


class Pronunciations:
    """Pronunciations, tried at each position by length, longest and case-sensitive first."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        """`entries`: words, which begin with a letter or digit, and their pronunciations."""
        self._entries: dict[str, list[_Entry]] = defaultdict(list)
        for written, spoken in entries:
            self._entries[_first(written).lower()].append(
                _Entry(written, spoken, written[1:] != written[1:].lower())
            )
        for entries_of_word in self._entries.values():
            entries_of_word.sort(key=lambda entry: (-len(entry.written), not entry.exact))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a UTF-8 file whose lines are a word, a tab and its pronunciation, or a # comment.

        Raises:
            PronunciationsError: the file cannot be read, a line is malformed, or a word has two
                pronunciations.
        """
        try:
            lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
        except OSError as exc:
            raise PronunciationsError(f"{path}: cannot be read: {exc.strerror}") from exc
        entries: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            try:
                entry = _parsed(line)
                if entry and entries.setdefault(*entry) != entry[1]:
                    raise ValueError(f"{entry[0]!r} has another pronunciation above")
            except ValueError as exc:
                raise PronunciationsError(f"{path}, line {number}: {exc}") from exc
        return cls(entries.items())

    def __len__(self) -> int:
        return sum(map(len, self._entries.values()))

    def apply(self, text: str) -> str:
        """Replace each whole word that has an entry by its pronunciation.

        Replacements are not searched again. Case is ignored unless the entry has capitals after its
        first character (KLIA, iPhone). A text without such words is returned as the same object.
        The time is linear in the text.
        """
        if not self._entries:
            return text
        parts: list[str] = []
        done = 0
        for start in _START.finditer(text):
            entry = self._entry_at(text, start) if start.start() >= done else None
            if entry:
                parts += (text[done : start.start()], entry.spoken)
                done = start.start() + len(entry.written)
        return "".join((*parts, text[done:])) if parts else text

    def _entry_at(self, text: str, start: re.Match[str]) -> _Entry | None:
        entries = self._entries.get(start.group().lower(), ())
        before = text[max(0, start.start() - 1) : start.start()]
        if not entries or _is_inside(before, start.group()[0]):
            return None
        return next((entry for entry in entries if entry.matches_at(text, start.start())), None)


def _parsed(line: bytes) -> tuple[str, str] | None:
    """Return the entry of a line, or None for an empty line or a comment.

    Raises:
        ValueError: the line is malformed.
    """
    try:
        text = unicodedata.normalize("NFKC", line.decode()).strip(" ")
    except UnicodeDecodeError as exc:
        raise ValueError("not UTF-8") from exc
    if "\0" in text:
        raise ValueError("not UTF-8: the line contains NUL")
    if not text.strip() or text.startswith("#"):
        return None
    written, tab, spoken = text.partition("\t")
    written, spoken = written.strip(), spoken.strip(" ")
    if not tab or "\t" in spoken:
        raise ValueError("not a word, one tab and its pronunciation")
    if not written or not spoken:
        raise ValueError("no text before or after the tab")
    if not _START.match(written):
        raise ValueError(f"{written!r} does not begin with a letter or digit")
    return written, spoken


def _first(written: str) -> str:
    start = _START.match(written)
    return start.group() if start else written


def _is_inside(beside: str, edge: str) -> bool:
    """True if the character beside an edge of a word belongs to it.

    Never true in scripts without spaces.
    """
    unspaced = re.match(f"[{_UNSPACED}]", edge) or re.match(f"[{_UNSPACED}]", beside)
    return bool(beside) and not unspaced and _is_in_words(beside) and _is_in_words(edge)


def _is_in_words(character: str) -> bool:
    is_mark = unicodedata.category(character)[0] == "M"  # such as a Tamil vowel
    return character.isalnum() or character == "_" or is_mark
