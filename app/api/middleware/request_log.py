"""The log record of a request, from its id to its result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import Scope

from app.synthesis.stats import SynthesisStats

HEADER = "x-request-id"
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # safe in a header and in a log line

LogFields = Mapping[str, str | int | float | bool]


@dataclass(slots=True)
class RequestLog:
    """Fields of the log line of a request, or of an utterance of a WebSocket; None: not logged."""

    request_id: str
    status: int | None = None  # of the response; of a WebSocket 101 or 403
    broken: bool | None = None  # True if the response did not end normally
    duration_s: float | None = None
    client: str | None = None  # IP address
    key: int | None = None  # position of the API key in API_KEYS, from 1
    format: str | None = None
    delivery: str | None = None
    finish_reason: str | None = None
    audio_s: float | None = None
    codec_tokens: int | None = None
    first_audio_s: float | None = None
    retries: int | None = None
    error: str | None = None  # code of the first failure
    reason: str | None = None

    def fail(self, code: str, reason: str | None = None) -> None:
        """Record a failure, unless an earlier one is recorded: later ones are its consequences."""
        if self.error is None:
            self.error, self.reason = code, reason

    def add_audio(self, stats: SynthesisStats, *, whole: bool) -> None:
        """Record the audio of a response, complete or not.

        A whole body sends its first audio at its end.
        """
        first_audio_s = stats.total_s if whole else stats.first_audio_s
        self.audio_s = round(stats.audio_s, 3)
        self.codec_tokens = stats.codec_tokens
        self.first_audio_s = round(first_audio_s, 4) or None
        self.retries = stats.retries or None

    def end(self, duration_s: float, *, complete: bool) -> None:
        """Record the end of the request, and status 0 if no response was started.

        `complete`: the application has returned. A response that the connection has written in its
        place is complete as well.
        """
        self.status = self.status or 0
        self.duration_s = round(duration_s, 4)
        if self.broken is None:
            self.broken = not complete

    def fields(self) -> LogFields:
        """Return the fields that are set, without the request id."""
        fields = asdict(self)
        del fields["request_id"]
        return {name: value for name, value in fields.items() if value is not None}


def request_log_of(scope: Scope) -> RequestLog:
    """Return the log of a request; create it at the first call, with the request's id.

    The id is the client's own if it is valid.
    """
    state = scope.setdefault("state", {})
    if "log" not in state:
        given = Headers(raw=scope.get("headers", [])).get(HEADER, "")
        state["log"] = RequestLog(given if VALID_REQUEST_ID.fullmatch(given) else uuid4().hex)
    return cast("RequestLog", state["log"])


def format_fields(fields: LogFields) -> str:
    """Format fields as `name=value`, separated by spaces."""
    return " ".join(f"{name}={value}" for name, value in fields.items())
