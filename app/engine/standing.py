"""What is known of an engine's health: pure, with the time given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from random import Random


@dataclass(frozen=True, slots=True)
class Patience:
    """When an engine is asked how it is, and when it is given up."""

    silence_s: float = 2.0  # an engine that is unheard of for so long is asked
    doubt_s: float = 0.1  # from a failure to the question
    failures: int = 2  # in a row put an engine out of use
    backoff_s: float = 0.5  # to the first question to an engine out of use; doubled each time
    longest_backoff_s: float = 10.0
    trial_s: float = (
        60.0  # without a failure, after which good probes alone make an engine well again
    )


class Rank(IntEnum):
    """How much an engine is wanted for a request; the lowest first."""

    GOOD = 0
    FULL = 1  # it has asked for time
    DOUBTED = 2
    OUT = 3


class Standing:
    """The health of one engine, from what requests and probes have seen.

    Failures in a row, without a generation that ended well between them, put it out of use. A good probe takes it
    back, on trial: until a generation has ended well it gets a request at a time, and one failure puts it out
    again, for twice as long. Times are of one monotonic clock, in seconds.

    `well` is what is told of it. It does not come and go with trials: where probes have been good all the time and
    requests have failed, as with a wrong setting, a good probe is no news.
    """

    def __init__(self, patience: Patience, chance: Random) -> None:
        """`chance` spreads the questions of several services to one engine."""
        self._patience, self._chance = patience, chance
        self.out = self.doubted = False
        self.well = True
        self.token_s = -math.inf  # when it last sent a token to anybody
        self._failures = 0
        self._silent = False  # whether a probe has failed since the engine was well
        self._answered_s = self._put_out_s = self._full_until_s = -math.inf
        self._ask_s = 0.0
        self._backoff_s = patience.backoff_s

    @property
    def proven(self) -> bool:
        """Whether the last that was seen of it is good; False before anything was."""
        return not (self.out or self.doubted) and max(self.token_s, self._answered_s) > -math.inf

    @property
    def due_s(self) -> float:
        """When to ask the engine how it is: not while its tokens tell."""
        if self.out or self.doubted:
            return self._ask_s
        return max(self.token_s, self._answered_s) + self._patience.silence_s

    def rank(self, streams: int, now_s: float) -> Rank:
        """How much it is wanted, with so many streams in flight."""
        if self.out:
            return Rank.OUT
        if self.doubted or (self._failures and streams):
            return Rank.DOUBTED
        return Rank.FULL if now_s < self._full_until_s else Rank.GOOD

    def stalls(self, since_s: float, now_s: float) -> bool:
        """Whether a request that has waited since then has waited with all others.

        An engine that has sent somebody a token in the later half of that time is busy, not stalled.
        """
        return self.token_s < (since_s + now_s) / 2

    def full(self, until_s: float) -> None:
        """It has asked for time."""
        self._full_until_s = until_s

    def answered(self, now_s: float) -> None:
        """It has said that it is well."""
        self._answered_s = now_s
        self.out = self.doubted = False
        if self._silent or now_s - self._put_out_s >= self._patience.trial_s:
            self._recover()

    def served(self, begun_s: float) -> None:
        """A generation has ended well; one from before the engine was put out says nothing of it now."""
        if begun_s <= self._put_out_s:
            return
        self._failures = 0
        self._backoff_s = self._patience.backoff_s
        self.out = self.doubted = False
        self._recover()

    def failed(self, begun_s: float, now_s: float) -> None:
        """A request has failed; one that began before the engine was put out, or while it was, says nothing new."""
        if not self.out and begun_s > self._put_out_s:
            self._fail(now_s)

    def silent(self, now_s: float) -> None:
        """A probe has failed."""
        self._silent = True
        self._fail(now_s)

    def _recover(self) -> None:
        self.well, self._silent = True, False

    def _fail(self, now_s: float) -> None:
        self._failures += 1
        self.doubted = True
        self._ask_s = now_s + self._patience.doubt_s
        if self._failures >= self._patience.failures:
            self.out, self.well, self._put_out_s = True, False, now_s
            self._ask_s = now_s + self._backoff_s * self._chance.uniform(0.5, 1)
            self._backoff_s = min(2 * self._backoff_s, self._patience.longest_backoff_s)
