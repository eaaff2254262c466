"""The errors a caller can meet: each class knows its HTTP status, type and code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

# What may help against a failure of the engine: the same request again, or again but with other dice.
Cure = Literal["again", "reseeded"]
RunawayKind = Literal["length", "repetition", "silence", "short"]


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The fields of an OpenAI error object; `code` and `param` may be null."""

    message: str
    type: str
    param: str | None
    code: str | None


class EngineAnswer(Protocol):
    """The answer of one of several engines, which may be worse than another engine's to the same request."""

    def reject(self) -> None:
        """It is no speech: it does not count as a good one. Called as soon as it has come."""
        ...

    def blame(self) -> None:
        """Another engine, asked the same, has spoken: the answer counts as a failure of the engine that gave it."""
        ...


class LoadError(RuntimeError):
    """Weights that cannot be loaded. The message is one line for the operator; the service stays not ready."""


class ServiceError(Exception):
    """Base of every failure that a client may see. `message` never holds input or an upstream body."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    repeats: ClassVar[bool] = (
        False  # True: the same request will fail again, so clients should not retry
    )
    cure: ClassVar[Cure | None] = None
    answer: EngineAnswer | None = None  # that failed, where another engine can be asked

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
    """Admission refused the request: try again later."""

    status = 429
    type = "rate_limit_error"
    code = "overloaded"


class NotReady(ServiceError):
    """The codec is not warm yet, or the engine is not reachable."""

    status = 503
    code = "not_ready"


class Draining(NotReady):
    """The server is shutting down; another one, or the next, may serve the request."""

    code = "draining"


class CloningUnavailable(ServiceError):
    """The encoder of references cannot be loaded, or their decoder not started; everything else works."""

    status = 503
    code = "cloning_unavailable"


class VoiceNotSaved(ServiceError):
    """The disk did not take a voice, or did not let go of it."""

    code = "voice_not_saved"


class ReplayNotSaved(ServiceError):
    """The disk did not take the codes of a request."""

    code = "replay_not_saved"


class CodecFailed(ServiceError):
    """The codec raised, or returned something that is not sound."""

    code = "codec_failed"


class EngineError(ServiceError):
    """The engine is at fault: 502 unless a subclass says otherwise."""

    status = 502
    code = "engine_failed"


class EngineRefused(EngineError):
    """The engine finds fault with what it was asked."""


class EngineUnreachable(EngineError):
    """The engine refuses connections."""

    code = "engine_unreachable"


class EngineTruncated(EngineError):
    """The engine's answer ended before it said that it was finished."""

    code = "engine_truncated"
    cure = "again"


class EngineNoAudio(EngineError):
    """The engine finished without one codec token."""

    code = "engine_no_audio"
    cure = "reseeded"


class EngineProtocolError(EngineError):
    """The engine's answer is not what its protocol promises."""

    code = "engine_protocol"


class EngineLength(EngineError):
    """The speech is not as long as its text: it ran into the token limit, into a loop or silence, or is far too short.

    `kind` says which: for the token limit it is "length".
    """

    code = "engine_length"
    cure = "reseeded"

    def __init__(self, message: str, kind: RunawayKind = "length") -> None:
        super().__init__(message)
        self.kind: RunawayKind = kind


class AudioTooLong(EngineError):
    """The speech has reached the longest answer (MAX_AUDIO_S) before its end."""

    code = "audio_too_long"
    repeats = True


class EngineOverloaded(EngineError):
    """The engine's queue is full."""

    status = 503
    code = "engine_overloaded"


class EngineTimeout(EngineError):
    """The engine let a limit pass: connect, first token or token gap."""

    status = 504
    code = "engine_timeout"


class DeadlineExceeded(ServiceError):
    """The whole request took longer than its limit."""

    status = 504
    code = "deadline_exceeded"
