"""Health of an engine, without I/O; the time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from random import Random


@dataclass(frozen=True, slots=True)
class Patience:
    """Times of the probes, and the number of failures that ejects an engine."""

    silence_s: float = 2.0  # probe an engine after so long without a token or a successful probe
    doubt_s: float = 0.1  # from a failure to the probe
    failures: int = 2  # consecutive failures that eject an engine
    backoff_s: float = 0.5  # from the ejection to the first probe; doubled at each further failure
    longest_backoff_s: float = 10.0
    # Time since the last ejection after which a successful probe makes an engine healthy, without a
    # successful generation.
    trial_s: float = 60.0


class Rank(IntEnum):
    """Preference of an engine for a request; the lowest is tried first."""

    GOOD = 0
    FULL = 1  # its queue is full
    DOUBTED = 2
    OUT = 3


class Standing:
    """The health of one engine, from the results of requests and probes.

    Consecutive failures, without a successful generation between them, eject the engine. A
    successful probe returns it to use on trial: until a generation succeeds it gets one request at
    a time, and one failure ejects it again, for twice as long. Times are seconds of one monotonic
    clock.

    `well` is the health that is logged and exported. It does not change with trials: if only
    requests have failed and no probe, as with a wrong setting, a successful probe sets it only
    after `trial_s`.
    """

    def __init__(self, patience: Patience, chance: Random) -> None:
        """`chance`: randomises the times of probes, so that services do not probe in step."""
        self._patience, self._chance = patience, chance
        self.out = self.doubted = False
        self.well = True
        self.token_s = -math.inf  # time of the last token for any request
        self._failures = 0
        self._silent = False  # True if a probe has failed since `well` was set
        self._answered_s = self._put_out_s = self._full_until_s = -math.inf
        self._ask_s = 0.0
        self._backoff_s = patience.backoff_s

    @property
    def proven(self) -> bool:
        """True if the latest result was a success; False before the first result."""
        return not (self.out or self.doubted) and max(self.token_s, self._answered_s) > -math.inf

    @property
    def due_s(self) -> float:
        """Time of the next probe, which tokens postpone."""
        if self.out or self.doubted:
            return self._ask_s
        return max(self.token_s, self._answered_s) + self._patience.silence_s

    def rank(self, streams: int, now_s: float) -> Rank:
        """Return the preference for a request, with `streams` requests in flight."""
        if self.out:
            return Rank.OUT
        if self.doubted or (self._failures and streams):
            return Rank.DOUBTED
        return Rank.FULL if now_s < self._full_until_s else Rank.GOOD

    def stalls(self, since_s: float, now_s: float) -> bool:
        """True if the engine sent no token to any request in the later half of a wait.

        `since_s`: start of the wait. An engine that did send tokens is busy, not stalled.
        """
        return self.token_s < (since_s + now_s) / 2

    def full(self, until_s: float) -> None:
        """Prefer other engines until `until_s`: the queue of this one is full."""
        self._full_until_s = until_s

    def answered(self, now_s: float) -> None:
        """Count a successful probe."""
        self._answered_s = now_s
        self.out = self.doubted = False
        if self._silent or now_s - self._put_out_s >= self._patience.trial_s:
            self._recover()

    def served(self, begun_s: float) -> None:
        """Count a successful generation, unless it began before the last ejection."""
        if begun_s <= self._put_out_s:
            return
        self._failures = 0
        self._backoff_s = self._patience.backoff_s
        self.out = self.doubted = False
        self._recover()

    def failed(self, begun_s: float, now_s: float) -> None:
        """Count a failed request, unless it began before the last ejection or the engine is out."""
        if not self.out and begun_s > self._put_out_s:
            self._fail(now_s)

    def silent(self, now_s: float) -> None:
        """Count a failed probe."""
        self._silent = True
        self._fail(now_s)

    def _recover(self) -> None:
        self.well, self._silent = True, False

    def _fail(self, now_s: float) -> None:
        self._failures += 1
        self.doubted = True
        self._ask_s = now_s + self._patience.doubt_s
        if self._failures >= self._patience.failures:
            self.out = True
            self.well = False
            self._put_out_s = now_s
            self._ask_s = now_s + self._backoff_s * self._chance.uniform(0.5, 1)
            self._backoff_s = min(2 * self._backoff_s, self._patience.longest_backoff_s)
