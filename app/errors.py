"""Errors that a client may receive: each class has its HTTP status, type and code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

# Retry of a failed engine request: the same request, or the same with another random seed.
Retry = Literal["same", "new_seed"]
RunawayKind = Literal["length", "repetition", "silence", "short"]


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The fields of an OpenAI error object; `code` and `param` may be null."""

    message: str
    type: str
    param: str | None
    code: str | None


class EngineAnswer(Protocol):
    """Response of one of several engines, which counts for or against that engine's health."""

    def reject(self) -> None:
        """Do not count the response as a success; called as soon as it fails."""
        ...

    def blame(self) -> None:
        """Count it as a failure, because another engine succeeded with the same request."""
        ...


class LoadError(RuntimeError):
    """Loading error; the message is one line for the operator, and the service stays not ready."""


class ServiceError(Exception):
    """Base of all errors that a client may receive.

    `message` never contains input or the body of an upstream response.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    repeats: ClassVar[bool] = False  # True if a retry fails again, so clients should not retry
    retry: ClassVar[Retry | None] = None
    answer: EngineAnswer | None = None  # the failed response, if another engine can be tried

    def __init__(
        self, message: str, *, param: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> ErrorBody:
        """The error object of the response."""
        return ErrorBody(self.message, self.type, self.param, self.code)


class Overloaded(ServiceError):
    """Admission rejected the request, which may be retried later."""

    status = 429
    type = "rate_limit_error"
    code = "overloaded"


class NotReady(ServiceError):
    """The codec is not loaded yet, or the engine is not reachable."""

    status = 503
    code = "not_ready"


class Draining(NotReady):
    """The server is shutting down; another instance may serve the request."""

    code = "draining"


class CloningUnavailable(ServiceError):
    """The voice encoder cannot be loaded, or the decoder of recordings cannot be started."""

    status = 503
    code = "cloning_unavailable"


class VoiceNotSaved(ServiceError):
    """A voice could not be written or deleted."""

    code = "voice_not_saved"


class ReplayNotSaved(ServiceError):
    """The codes of a request could not be written."""

    code = "replay_not_saved"


class CodecFailed(ServiceError):
    """The codec raised an exception or returned invalid samples."""

    code = "codec_failed"


class EngineError(ServiceError):
    """The engine failed: 502 unless a subclass sets another status."""

    status = 502
    code = "engine_failed"


class EngineRefused(EngineError):
    """The engine rejected the request as invalid."""


class EngineUnreachable(EngineError):
    """The engine does not accept connections."""

    code = "engine_unreachable"


class EngineTruncated(EngineError):
    """The engine's response ended before its finish event."""

    code = "engine_truncated"
    retry = "same"


class EngineNoAudio(EngineError):
    """The engine finished without a codec token."""

    code = "engine_no_audio"
    retry = "new_seed"


class EngineProtocolError(EngineError):
    """The engine's response violates its protocol."""

    code = "engine_protocol"


class EngineLength(EngineError):
    """The speech does not fit the length of its text.

    `kind` is "length" (the token limit was reached), "repetition", "silence" or "short".
    """

    code = "engine_length"
    retry = "new_seed"

    def __init__(self, message: str, kind: RunawayKind = "length") -> None:
        super().__init__(message)
        self.kind: RunawayKind = kind


class AudioTooLong(EngineError):
    """The speech reached MAX_AUDIO_S before its end."""

    code = "audio_too_long"
    repeats = True


class EngineOverloaded(EngineError):
    """The engine's queue is full."""

    status = 503
    code = "engine_overloaded"


class EngineTimeout(EngineError):
    """The engine exceeded the connect, first token or token gap timeout."""

    status = 504
    code = "engine_timeout"


class DeadlineExceeded(ServiceError):
    """The request took longer than REQUEST_TIMEOUT_S."""

    status = 504
    code = "deadline_exceeded"
