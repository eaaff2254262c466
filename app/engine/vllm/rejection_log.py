"""Log lines for an engine's error statuses, without its messages, which may quote a prompt."""

from __future__ import annotations

import logging
import math
from http import HTTPStatus

log = logging.getLogger(__name__)

# Minimum time between two lines of one status, if a generation succeeded between them.
REPEAT_AFTER_S = 60.0

_WRONG_KEY = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))


class RejectionLog:
    """The error statuses of one engine: each is logged once until a generation succeeds."""

    def __init__(self, engine: str) -> None:
        """`engine`: its name in the log."""
        self._engine = engine
        self._logged_s: dict[int, float] = {}  # time of the last line, by status
        self._recovered_s = -math.inf

    def log_rejection(self, status: int, now_s: float) -> None:
        """Log a status that is not 200, with its most frequent cause."""
        logged_s = self._logged_s.get(status)
        if logged_s is not None and (
            self._recovered_s <= logged_s or now_s - logged_s < REPEAT_AFTER_S
        ):
            return
        self._logged_s[status] = now_s
        level = logging.ERROR if status in _WRONG_KEY else logging.WARNING
        log.log(level, "engine %s answered %d%s", self._engine, status, _meaning(status))

    def log_recovery(self, now_s: float) -> None:
        """Record a successful generation."""
        self._recovered_s = now_s


def _meaning(status: int) -> str:
    if status in _WRONG_KEY:
        return ": TTS_API_KEY is missing or wrong"
    if status == HTTPStatus.NOT_FOUND:
        return ": it does not serve MODEL_NAME, or ENGINE_URLS is not its URL"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return ": redirects are not followed; ENGINE_URLS must be the URL of the engine itself"
    return ""
