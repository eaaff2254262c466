"""Parsing of token numbers, the N of `<|s_N|>`, in an engine's stream of text and token ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from app.config.profiles import TokenSyntax
from app.errors import EngineProtocolError

MAX_DIGITS: Final = 9


class TokenTextParser:
    """Parser of token numbers in text that may be split anywhere. Text between tokens is skipped.

    A token starts with its whole prefix, followed by 1 to MAX_DIGITS digits and the suffix.
    Anything else after a prefix is an error, since a skipped token would be missing speech.
    """

    def __init__(self, syntax: TokenSyntax) -> None:
        prefix, suffix = re.escape(syntax.prefix), re.escape(syntax.suffix)
        partial_suffix = "|".join(
            re.escape(syntax.suffix[:length]) for length in range(len(syntax.suffix))
        )
        digits = f"[0-9]{{1,{MAX_DIGITS}}}"
        # The group is None for a token that is malformed, whatever text follows.
        self._token = re.compile(
            rf"{prefix}(?:({digits}){suffix}|(?!(?:{digits}(?:{partial_suffix}))?\Z))"
        )
        self._prefix, self._opening = syntax.prefix, syntax.prefix[0]
        self._max_partial = len(syntax.prefix) + MAX_DIGITS + len(syntax.suffix) - 1
        self.tail = ""  # possible beginning of a token; empty between tokens

    def feed(self, text: str) -> list[int]:
        """Return the numbers of the tokens that `text` completes, in order.

        Raises:
            EngineProtocolError: a token's number is not 1 to MAX_DIGITS decimal digits.
        """
        if self.tail:
            text = self.tail + text
        numbers: list[int] = []
        end = 0
        for match in self._token.finditer(text):
            digits = match[1]
            if digits is None:
                raise EngineProtocolError(
                    "the engine sent a token that is malformed or out of range"
                )
            numbers.append(int(digits))
            end = match.end()
        self.tail = self._unfinished(text, end) if end < len(text) else ""
        return numbers

    def finish(self) -> None:
        """End the text.

        Raises:
            EngineProtocolError: the text ended within a token.
        """
        if self._prefix in self.tail:
            raise EngineProtocolError("the engine's text ended within a token")

    def _unfinished(self, text: str, end: int) -> str:
        """Return the end of `text` that may begin a token, which is shorter than a whole token."""
        start = text.find(self._opening, max(end, len(text) - self._max_partial))
        return text[start:] if start >= 0 else ""


class TokenIdParser:
    """Parser of token numbers in text and ids together. Ids are used where there is no text.

    The id of token N is N plus an offset that engines do not report. It is learned from events that
    have both, used once two different numbers agree on it, and checked on every later event that
    has both, because a wrong offset gives noise. If ids disagree while it is learned (a vocabulary
    in another order, several ids for one token), ids are not used.
    """

    def __init__(self, syntax: TokenSyntax, limit: int | None = None) -> None:
        """`limit`: ids without text give only numbers below it; others are of other tokens."""
        self._text = TokenTextParser(syntax)
        self._pattern = f"{syntax.prefix}\0{syntax.suffix}".replace("%", "%%").replace("\0", "%d")
        self._limit = limit
        self._usable = True
        self._offset: int | None = None
        self._candidate: tuple[int, int] | None = None  # an offset and the number that suggested it
        self._unmatched_ids: list[int] = []  # ids whose text has not arrived in full
        # Numbers returned from ids alone, whose text may still arrive.
        self._returned_early: list[int] = []

    def feed(
        self, text: str, ids: Sequence[int] | None = None, *, last_is_end: bool = False
    ) -> list[int]:
        """Return the numbers of one event.

        `last_is_end`: the last id is the token that ended the generation.

        Raises:
            EngineProtocolError: the ids contradict the text, or a number is out of range.
        """
        in_sync = not (self._text.tail or self._unmatched_ids or self._returned_early)
        if ids and in_sync and self._offset is not None:
            numbers = self._confirmed(text, ids, self._offset)
            if numbers:
                return numbers
        numbers = self._text.feed(text) if text else []
        if not ids or not self._usable:
            return self._without_returned(numbers)
        if not text:
            return self._from_ids(ids[:-1] if last_is_end else ids)
        if self._offset is not None:
            return self._checked(numbers, ids, self._offset)
        if in_sync and not self._text.tail:
            self._learn(numbers, ids[: len(numbers)] if last_is_end else ids)
        return numbers

    def finish(self) -> None:
        """End the stream; see `TokenTextParser.finish`."""
        self._text.finish()

    def _confirmed(self, text: str, ids: Sequence[int], offset: int) -> list[int] | None:
        """Return the numbers of `ids` if `text` is their tokens. This costs half of parsing it."""
        numbers = [token_id - offset for token_id in ids]
        if text != self._pattern * len(numbers) % tuple(numbers):
            return None
        return numbers if min(numbers) >= 0 and max(numbers) < 10**MAX_DIGITS else None

    def _learn(self, numbers: list[int], ids: Sequence[int]) -> None:
        """Learn the offset from an event. If its numbers and ids disagree, ids stay unused."""
        if len(ids) != len(numbers):
            return  # some ids are of other tokens
        for number, token_id in zip(numbers, ids, strict=True):
            offset, first = self._candidate or (token_id - number, number)
            if token_id - number != offset:
                self._usable = False
                self._offset = None
                return
            self._candidate = offset, first
            if number != first:
                self._offset = offset

    def _from_ids(self, ids: Sequence[int]) -> list[int]:
        """Return the numbers of ids whose text has not arrived; none before the offset is known."""
        offset, limit = self._offset, self._limit
        if offset is None:
            return []
        numbers = [token_id - offset for token_id in ids if token_id >= offset]
        if limit is not None:
            numbers = [number for number in numbers if number < limit]
        self._returned_early += numbers
        return numbers

    def _checked(self, numbers: list[int], ids: Sequence[int], offset: int) -> list[int]:
        """Return the new numbers of an event with both text and ids.

        Its ids may also be of other tokens, and its text of ids that arrived before.

        Raises:
            EngineProtocolError: the ids contradict the text.
        """
        expected = [number + offset for number in numbers]
        if expected == ids and not self._unmatched_ids:
            self._returned_early.clear()
            return numbers
        self._unmatched_ids += ids
        left = iter(self._unmatched_ids)
        if not numbers or all(token_id in left for token_id in expected):
            if numbers:
                self._unmatched_ids = list(left)
                self._returned_early.clear()
            return numbers
        new = self._without_returned(numbers)
        left = iter(self._unmatched_ids)
        if new == numbers or not all(number + offset in left for number in new):
            raise EngineProtocolError("the engine's token ids contradict its text")
        if new:
            self._unmatched_ids = list(left)
        return new

    def _without_returned(self, numbers: list[int]) -> list[int]:
        """Return `numbers` without those already returned from ids before their text arrived."""
        count = min(len(numbers), len(self._returned_early))
        if numbers[:count] != self._returned_early[:count]:
            self._returned_early.clear()
            return numbers
        self._returned_early = self._returned_early[count:]
        return numbers[count:]
