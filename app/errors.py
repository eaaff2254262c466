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


class ConfigError(ValueError):
    """Invalid configuration; the message is one line that names the file or the setting."""


class LoadError(RuntimeError):
    """Loading error; the message is one line for the operator, and the service stays not ready."""


class ServiceError(Exception):
    """Base of all errors that a client may receive.

    `message` never contains input or the body of an upstream response.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"
    permanent: ClassVar[bool] = False  # True if a retry fails again; clients should not retry
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
    permanent = True


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


class RequestError(ServiceError):
    """The request is invalid: 400 unless a subclass sets another status."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    permanent = True


class EmptyInput(RequestError):
    """The text is empty after cleaning."""

    code = "empty_input"


class InputTooLong(RequestError):
    """The text is longer than the limit, or than the model's context."""

    code = "string_too_long"


class SpeechTooLong(RequestError):
    """The text takes longer than MAX_AUDIO_S at the requested speed."""

    code = "audio_too_long"


class UnsupportedSampleRate(RequestError):
    """The format does not support the sample rate."""

    code = "unsupported_sample_rate"


class VoiceNotFound(RequestError):
    """No voice has that name, alias or id."""

    code = "voice_not_found"


class StoredVoiceNotFound(VoiceNotFound):
    """No stored voice has that id."""

    status = 404


class CloningNotSupported(RequestError):
    """The model cannot clone voices."""

    code = "cloning_not_supported"


class InvalidForm(RequestError):
    """The body is not a form with the fields of the route."""

    code = "invalid_form"


class InvalidAudio(RequestError):
    """The uploaded file cannot be decoded as audio."""

    code = "invalid_audio"


class ReferenceTooShort(RequestError):
    """The recording is too short."""

    code = "reference_too_short"


class ReferenceTooLong(RequestError):
    """The recording is too long."""

    code = "reference_too_long"


class ReferenceSilent(RequestError):
    """The recording is silent."""

    code = "reference_silent"


class InvalidName(RequestError):
    """The name is not valid for a voice."""

    code = "invalid_name"


class VoiceExists(RequestError):
    """A voice of that name exists."""

    status = 409
    code = "voice_exists"


class TooManyVoices(RequestError):
    """The maximum number of voices is stored."""

    status = 409
    code = "too_many_voices"


class UnsupportedValue(RequestError):
    """The value is valid, but this server does not support it."""

    code = "unsupported_value"


class UnsupportedLanguage(RequestError):
    """The text has nothing that the engine can read."""

    code = "unsupported_language"


class InvalidApiKey(RequestError):
    """The request has no API key, or an unknown one."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class OriginNotAllowed(RequestError):
    """The request is from a page of another origin."""

    status = 403
    type = "permission_error"
    code = "origin_not_allowed"


class HostNotAllowed(RequestError):
    """The Host header of the request is not allowed, to prevent DNS rebinding."""

    status = 403
    type = "permission_error"
    code = "host_not_allowed"


class ModelNotFound(RequestError):
    """The model is neither the served model nor an alias of it."""

    status = 404
    code = "model_not_found"


class RequestNotFound(RequestError):
    """No recorded request has that id and API key."""

    status = 404
    code = "request_not_found"


class CodesNotAvailable(RequestError):
    """The codes of a request cannot be stored for a replay."""

    status = 409
    code = "request_not_kept"


class TooManyValues(RequestError):
    """The JSON of the request has more values than any valid request."""

    code = "too_many_values"


class InvalidMessage(RequestError):
    """The WebSocket message is unknown or not allowed in the current state."""

    code = "invalid_message"


class TextTimeout(RequestError):
    """The client sent no more text of an utterance within TEXT_TIMEOUT_S."""

    status = 408
    code = "request_timeout"


class RequestTimeout(RequestError):
    """The request was not received within REQUEST_READ_TIMEOUT_S."""

    status = 408
    code = "request_timeout"
    permanent = False


class HeadTooLarge(RequestError):
    """The request's headers exceed the limit."""

    status = 431
    code = "headers_too_large"


class UrlTooLong(RequestError):
    """The request's URL exceeds the limit."""

    status = 414
    code = "url_too_long"


class InvalidHandshake(RequestError):
    """The request is not a valid WebSocket handshake (RFC 6455)."""

    code = "invalid_handshake"


class HandshakeRefused(RequestError):
    """The application rejected the WebSocket."""

    status = 403
    code = "handshake_refused"


class UpgradeRequired(RequestError):
    """The route is a WebSocket, but the request is not a handshake."""

    status = 426
    code = "upgrade_required"


class BodyTooLarge(RequestError):
    """The request body exceeds the limit."""

    status = 413
    code = "body_too_large"
