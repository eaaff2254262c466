"""Token numbers — the N of each `<|s_N|>` — out of the text and the token ids that an engine streams."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from app.errors import EngineProtocolError
from app.profiles import TokenSyntax

MAX_DIGITS: Final = 9


class TokenText:
    """Numbers from text that may be split anywhere; text between tokens is skipped.

    A token begins with its whole prefix. Behind that stand at most MAX_DIGITS digits and the suffix, and nothing else:
    a token that is skipped would be speech that is missing.
    """

    def __init__(self, syntax: TokenSyntax) -> None:
        prefix, suffix = re.escape(syntax.prefix), re.escape(syntax.suffix)
        begun = "|".join(re.escape(syntax.suffix[:length]) for length in range(len(syntax.suffix)))
        digits = f"[0-9]{{1,{MAX_DIGITS}}}"
        # The group stays empty for a token that is malformed, whatever text comes next.
        self._token = re.compile(rf"{prefix}(?:({digits}){suffix}|(?!(?:{digits}(?:{begun}))?\Z))")
        self._prefix, self._opening = syntax.prefix, syntax.prefix[0]
        self._longest_part = len(syntax.prefix) + MAX_DIGITS + len(syntax.suffix) - 1
        self.tail = ""  # what may be the beginning of a token; empty between tokens

    def feed(self, text: str) -> list[int]:
        """The numbers of the tokens that `text` completes, in order.

        Raises:
            EngineProtocolError: a token whose number is not 1 to MAX_DIGITS decimal digits.
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
        """The text has ended.

        Raises:
            EngineProtocolError: it ended within a token.
        """
        if self._prefix in self.tail:
            raise EngineProtocolError("the engine's text ended within a token")

    def _unfinished(self, text: str, end: int) -> str:
        """The end of `text` that a token may begin in: one that began earlier would have ended, or failed."""
        start = text.find(self._opening, max(end, len(text) - self._longest_part))
        return text[start:] if start >= 0 else ""


class TokenIds:
    """Numbers from text and ids together: the text is the truth, the ids speak where there is no text.

    The id of token N is N plus an offset that is nowhere written down. It is learned from events
    that carry both, counts once two different numbers agree on it, and is checked on every such
    event from then on, because a wrong offset is noise. Ids that do not agree while it is learned
    (a vocabulary in another order, several ids for one token) are left unused.
    """

    def __init__(self, syntax: TokenSyntax, limit: int | None = None) -> None:
        """`limit`: ids alone give no numbers from there up, as they belong to tokens of another kind."""
        self._text = TokenText(syntax)
        self._pattern = f"{syntax.prefix}\0{syntax.suffix}".replace("%", "%%").replace("\0", "%d")
        self._limit = limit
        self._usable = True
        self._offset: int | None = None
        self._guess: tuple[int, int] | None = None  # an offset and the number that suggested it
        self._unseen: list[int] = []  # ids whose text has not come in full
        self._ahead: list[int] = []  # numbers given from ids alone, whose text may still come

    def feed(
        self, text: str, ids: Sequence[int] | None = None, *, last_is_end: bool = False
    ) -> list[int]:
        """The numbers of one event; `last_is_end`: its last id is the token that ended the generation.

        Raises:
            EngineProtocolError: ids contradict the text, or a number is out of range.
        """
        in_step = not (self._text.tail or self._unseen or self._ahead)
        if ids and in_step and self._offset is not None:
            numbers = self._confirmed(text, ids, self._offset)
            if numbers:
                return numbers
        numbers = self._text.feed(text) if text else []
        if not ids or not self._usable:
            return self._without_given(numbers)
        if not text:
            return self._from_ids(ids[:-1] if last_is_end else ids)
        if self._offset is not None:
            return self._checked(numbers, ids, self._offset)
        if in_step and not self._text.tail:
            self._learn(numbers, ids[: len(numbers)] if last_is_end else ids)
        return numbers

    def finish(self) -> None:
        """The model has ended; see `TokenText.finish`."""
        self._text.finish()

    def _confirmed(self, text: str, ids: Sequence[int], offset: int) -> list[int] | None:
        """The numbers of `ids` if `text` is exactly their tokens: half the cost of reading the text."""
        numbers = [token_id - offset for token_id in ids]
        if text != self._pattern * len(numbers) % tuple(numbers):
            return None
        return numbers if min(numbers) >= 0 and max(numbers) < 10**MAX_DIGITS else None

    def _learn(self, numbers: list[int], ids: Sequence[int]) -> None:
        if len(ids) != len(numbers):
            return  # other tokens are among them
        for number, token_id in zip(numbers, ids, strict=True):
            offset, first = self._guess or (token_id - number, number)
            if token_id - number != offset:
                self._usable = False
                self._offset = None
                return
            self._guess = offset, first
            if number != first:
                self._offset = offset

    def _from_ids(self, ids: Sequence[int]) -> list[int]:
        offset, limit = self._offset, self._limit
        if offset is None:
            return []
        numbers = [token_id - offset for token_id in ids if token_id >= offset]
        if limit is not None:
            numbers = [number for number in numbers if number < limit]
        self._ahead += numbers
        return numbers

    def _checked(self, numbers: list[int], ids: Sequence[int], offset: int) -> list[int]:
        expected = [number + offset for number in numbers]
        if expected == ids and not self._unseen:
            self._ahead.clear()
            return numbers
        self._unseen += ids
        left = iter(self._unseen)
        if not numbers or all(token_id in left for token_id in expected):
            if numbers:
                self._unseen = list(left)
                self._ahead.clear()
            return numbers
        late = self._without_given(numbers)
        left = iter(self._unseen)
        if late == numbers or not all(number + offset in left for number in late):
            raise EngineProtocolError("the engine's token ids contradict its text")
        if late:
            self._unseen = list(left)
        return late

    def _without_given(self, numbers: list[int]) -> list[int]:
        """`numbers` less those that were given from ids before their text came."""
        count = min(len(numbers), len(self._ahead))
        if numbers[:count] != self._ahead[:count]:
            self._ahead.clear()
            return numbers
        self._ahead = self._ahead[count:]
        return numbers[count:]
