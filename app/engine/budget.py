"""A request's token limit, over all the pieces that it is spoken in."""

from __future__ import annotations

from app.engine import OnTokens, TokenNumbers


class Enough(Exception):
    """The limit is reached, and there would have been more."""


class Budget:
    """Counts what a request gets, up to its limit."""

    def __init__(self, max_tokens: int, on_tokens: OnTokens) -> None:
        self.tokens = 0
        self._max_tokens, self._on_tokens = max_tokens, on_tokens

    def spend(self, numbers: TokenNumbers) -> None:
        """Pass on what there is room for.

        Raises:
            Enough: that is not all.
        """
        heard = numbers[: self._max_tokens - self.tokens]
        self.tokens += len(heard)
        if heard:
            self._on_tokens(heard)
        if len(heard) < len(numbers):
            raise Enough
