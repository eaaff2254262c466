"""The statistics of a running request."""

from __future__ import annotations

import logging
import math
import time

from app import metrics
from app.decode.load_estimate import FIRST_WINDOW_S, StreamState
from app.errors import ServiceError
from app.synthesis.attempt import Attempt
from app.synthesis.audio_output import SynthesisStats
from app.synthesis.recording import ReplayRecorder
from app.tokens.windows import GROWTH_UNDER_LOAD

log = logging.getLogger(__name__)

NOTHING = SynthesisStats(
    audio_s=0.0,
    codec_tokens=0,
    prompt_tokens=0,
    first_audio_s=0.0,
    first_window_s=0.0,
    total_s=0.0,
    finish_reason="stop",
)


class Progress:
    """Track a request across its attempts; all values are of the latest one."""

    def __init__(
        self, expected_s: float = math.inf, *, speed: float = 1.0, for_replay: bool = False
    ) -> None:
        """Start to track a request; `expected_s` is its estimated duration at `speed`.

        With `for_replay` each attempt records its codes and windows.
        """
        self._expected_s, self._speed = expected_s, speed
        self.for_replay = for_replay
        self._begun_s = time.monotonic()
        self._retries = 0
        self._attempt: Attempt | None = None

    @property
    def trail(self) -> ReplayRecorder | None:
        """The recorded codes and windows of the latest attempt."""
        return None if self._attempt is None else self._attempt.recorder

    def state(self) -> StreamState:
        """Return the request's remaining decode demand (implements `load_estimate.Stream`)."""
        if self._attempt is None:
            return StreamState(
                FIRST_WINDOW_S / self._speed,
                GROWTH_UNDER_LOAD,
                speed=self._speed,
                left_s=self._expected_s,
            )
        return self._attempt.state(self._expected_s)

    def begin(self, attempt: Attempt) -> None:
        """Switch to a new attempt."""
        self._attempt = attempt

    def retry(self, failure: ServiceError) -> None:
        """Count and log a failed attempt that is retried."""
        self._retries += 1
        metrics.RETRIES.labels(failure.code).inc()
        log.info("retrying after %s: %s", failure.code, failure.message)

    def spoken(self) -> SynthesisStats:
        """Return the statistics so far."""
        if self._attempt is None:
            return NOTHING
        return self._attempt.spoken(self._begun_s, self._retries)
