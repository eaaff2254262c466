"""Token limit of a request, over all chunks of its text."""

from __future__ import annotations

from app.engine import OnTokens, TokenNumbers


class BudgetExhausted(Exception):
    """The limit is reached, and further tokens were dropped."""


class TokenBudget:
    """Counter of a request's tokens, up to its limit."""

    def __init__(self, max_tokens: int, on_tokens: OnTokens) -> None:
        self.tokens = 0
        self._max_tokens, self._on_tokens = max_tokens, on_tokens

    def forward(self, numbers: TokenNumbers) -> None:
        """Pass on tokens up to the limit.

        Raises:
            BudgetExhausted: tokens were dropped.
        """
        passed = numbers[: self._max_tokens - self.tokens]
        self.tokens += len(passed)
        if passed:
            self._on_tokens(passed)
        if len(passed) < len(numbers):
            raise BudgetExhausted
