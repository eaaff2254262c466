"""Errors of invalid requests, which the client can correct."""

from __future__ import annotations

from app.errors import ServiceError


class RequestError(ServiceError):
    """The request is invalid: 400 unless a subclass sets another status."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    repeats = True


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
    repeats = False


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
