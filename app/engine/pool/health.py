"""Health of an engine, without I/O; the time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from random import Random


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """Times of the probes, and the number of failures that ejects an engine."""

    idle_s: float = 2.0  # probe an engine after so long without a token or a successful probe
    probe_delay_s: float = 0.1  # from a failure to the probe
    max_failures: int = 2  # consecutive failures that eject an engine
    backoff_s: float = 0.5  # from the ejection to the first probe; doubled at each further failure
    max_backoff_s: float = 10.0
    # Time since the last ejection after which a successful probe makes an engine healthy, without a
    # successful generation.
    trial_s: float = 60.0


class Rank(IntEnum):
    """Preference of an engine for a request; the lowest is tried first."""

    HEALTHY = 0
    FULL = 1  # its queue is full
    SUSPECT = 2
    EJECTED = 3


class EngineHealth:
    """The health of one engine, from the results of requests and probes.

    Consecutive failures, without a successful generation between them, eject the engine. A
    successful probe returns it to use on trial: until a generation succeeds it gets one request at
    a time, and one failure ejects it again, for twice as long. Times are seconds of one monotonic
    clock.

    `healthy` is the health that is logged and exported. It does not change with trials: if only
    requests have failed and no probe, as with a wrong setting, a successful probe sets it only
    after `trial_s`.
    """

    def __init__(self, policy: HealthPolicy, random: Random) -> None:
        """`random`: varies the times of probes, so that services do not probe at the same time."""
        self._policy, self._random = policy, random
        self.ejected = self.suspect = False
        self.healthy = True
        self.token_s = -math.inf  # time of the last token for any request
        self._failures = 0
        self._failed_probes = False  # True if a probe has failed since `healthy` was set
        self._probed_s = -math.inf  # time of the last successful probe
        self._ejected_s = self._full_until_s = -math.inf
        self._next_probe_s = 0.0
        self._backoff_s = policy.backoff_s

    @property
    def verified(self) -> bool:
        """True if the latest result was a success; False before the first result."""
        return not (self.ejected or self.suspect) and max(self.token_s, self._probed_s) > -math.inf

    @property
    def due_s(self) -> float:
        """Time of the next probe, which tokens postpone."""
        if self.ejected or self.suspect:
            return self._next_probe_s
        return max(self.token_s, self._probed_s) + self._policy.idle_s

    def rank(self, streams: int, now_s: float) -> Rank:
        """Return the preference for a request, with `streams` requests in flight."""
        if self.ejected:
            return Rank.EJECTED
        if self.suspect or (self._failures and streams):
            return Rank.SUSPECT
        return Rank.FULL if now_s < self._full_until_s else Rank.HEALTHY

    def is_stalled(self, since_s: float, now_s: float) -> bool:
        """True if the engine sent no token to any request in the later half of a wait.

        `since_s`: start of the wait. An engine that did send tokens is busy, not stalled.
        """
        return self.token_s < (since_s + now_s) / 2

    def on_overload(self, until_s: float) -> None:
        """Prefer other engines until `until_s`: the queue of this one is full."""
        self._full_until_s = until_s

    def on_probe_succeeded(self, now_s: float) -> None:
        """Count a successful probe."""
        self._probed_s = now_s
        self.ejected = self.suspect = False
        if self._failed_probes or now_s - self._ejected_s >= self._policy.trial_s:
            self._recover()

    def on_success(self, started_s: float) -> None:
        """Count a successful generation, unless it began before the last ejection."""
        if started_s <= self._ejected_s:
            return
        self._failures = 0
        self._backoff_s = self._policy.backoff_s
        self.ejected = self.suspect = False
        self._recover()

    def on_failure(self, started_s: float, now_s: float) -> None:
        """Count a failed request, unless the engine is ejected or was ejected after its start."""
        if not self.ejected and started_s > self._ejected_s:
            self._fail(now_s)

    def on_probe_failed(self, now_s: float) -> None:
        """Count a failed probe."""
        self._failed_probes = True
        self._fail(now_s)

    def _recover(self) -> None:
        self.healthy, self._failed_probes = True, False

    def _fail(self, now_s: float) -> None:
        self._failures += 1
        self.suspect = True
        self._next_probe_s = now_s + self._policy.probe_delay_s
        if self._failures >= self._policy.max_failures:
            self.ejected = True
            self.healthy = False
            self._ejected_s = now_s
            self._next_probe_s = now_s + self._backoff_s * self._random.uniform(0.5, 1)
            self._backoff_s = min(2 * self._backoff_s, self._policy.max_backoff_s)
