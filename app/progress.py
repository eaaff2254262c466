"""How far a request is."""

from __future__ import annotations

import logging
import math
import time

from app import metrics
from app.attempt import Attempt
from app.decode.load_estimate import FIRST_WINDOW_S, StreamState
from app.errors import ServiceError
from app.listener import Spoken
from app.speech.windows import GROWTH_WHEN_PRESSED
from app.trail import Trail

log = logging.getLogger(__name__)

NOTHING = Spoken(
    audio_s=0.0,
    codec_tokens=0,
    prompt_tokens=0,
    first_audio_s=0.0,
    first_window_s=0.0,
    total_s=0.0,
    finish_reason="stop",
)


class Progress:
    """Follows a request from its beginning, attempt after attempt; what it tells is the latest one's."""

    def __init__(
        self, expected_s: float = math.inf, *, speed: float = 1.0, for_replay: bool = False
    ) -> None:
        """`expected_s`: of sound at `speed`, as far as the text tells; `for_replay`: what a replay needs is kept."""
        self._expected_s, self._speed = expected_s, speed
        self.for_replay = for_replay
        self._begun_s = time.monotonic()
        self._retries = 0
        self._attempt: Attempt | None = None

    @property
    def trail(self) -> Trail | None:
        """What a replay needs of the latest attempt."""
        return None if self._attempt is None else self._attempt.trail

    def state(self) -> StreamState:
        """Return what the request still needs of the decode devices: it is a `Stream` of theirs."""
        if self._attempt is None:
            return StreamState(
                FIRST_WINDOW_S / self._speed,
                GROWTH_WHEN_PRESSED,
                speed=self._speed,
                left_s=self._expected_s,
            )
        return self._attempt.state(self._expected_s)

    def begin(self, attempt: Attempt) -> None:
        """From now on this attempt counts."""
        self._attempt = attempt

    def retry(self, failure: ServiceError) -> None:
        """The attempt has failed in this way, and there will be another."""
        self._retries += 1
        metrics.RETRIES.labels(failure.code).inc()
        log.info("a second attempt after %s: %s", failure.code, failure.message)

    def spoken(self) -> Spoken:
        """What the request has come to so far."""
        return (
            NOTHING if self._attempt is None else self._attempt.spoken(self._begun_s, self._retries)
        )
