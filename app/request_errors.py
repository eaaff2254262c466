"""What can be wrong with a request: errors that its caller can mend."""

from __future__ import annotations

from app.errors import ServiceError


class RequestError(ServiceError):
    """The request itself is at fault: 400."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    repeats = True


class EmptyInput(RequestError):
    """Nothing is left to speak after cleaning."""

    code = "empty_input"


class InputTooLong(RequestError):
    """The text is longer than the limit, or than the model's context."""

    code = "string_too_long"


class SpeechTooLong(RequestError):
    """The text takes longer to say, at the speed that is asked for, than the longest answer (MAX_AUDIO_S)."""

    code = "audio_too_long"


class UnsupportedSampleRate(RequestError):
    """The format cannot carry that rate."""

    code = "unsupported_sample_rate"


class VoiceNotFound(RequestError):
    """No voice has that name, alias or id."""

    code = "voice_not_found"


class StoredVoiceNotFound(VoiceNotFound):
    """No stored voice has that id."""

    status = 404


class CloningNotSupported(RequestError):
    """The model cannot speak in the voice of a reference."""

    code = "cloning_not_supported"


class InvalidForm(RequestError):
    """The body is not the form that the route reads."""

    code = "invalid_form"


class InvalidAudio(RequestError):
    """The uploaded file is not sound that can be read."""

    code = "invalid_audio"


class ReferenceTooShort(RequestError):
    """A reference with too little sound."""

    code = "reference_too_short"


class ReferenceTooLong(RequestError):
    """A reference with too much sound."""

    code = "reference_too_long"


class ReferenceSilent(RequestError):
    """A reference in which nothing is heard."""

    code = "reference_silent"


class InvalidName(RequestError):
    """A name that no voice may have."""

    code = "invalid_name"


class VoiceExists(RequestError):
    """The name is taken."""

    status = 409
    code = "voice_exists"


class TooManyVoices(RequestError):
    """No further voice is kept."""

    status = 409
    code = "too_many_voices"


class UnsupportedValue(RequestError):
    """A value that is well-formed, but that this server does not offer."""

    code = "unsupported_value"


class UnsupportedLanguage(RequestError):
    """The engine finds nothing in the text that it can read."""

    code = "unsupported_language"


class InvalidApiKey(RequestError):
    """No API key came with the request, or one that is not known."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class OriginNotAllowed(RequestError):
    """A page of another origin has made the request."""

    status = 403
    type = "permission_error"
    code = "origin_not_allowed"


class HostNotAllowed(RequestError):
    """The request names a host that may be anybody's."""

    status = 403
    type = "permission_error"
    code = "host_not_allowed"


class ModelNotFound(RequestError):
    """The model is neither served here nor an alias of it."""

    status = 404
    code = "model_not_found"


class RequestNotFound(RequestError):
    """No request of that id is on record, or not with that API key."""

    status = 404
    code = "request_not_found"


class NotKept(RequestError):
    """The codes of a request cannot be kept for a replay."""

    status = 409
    code = "request_not_kept"


class TooManyValues(RequestError):
    """The JSON of the request holds more values than any request needs."""

    code = "too_many_values"


class InvalidMessage(RequestError):
    """A WebSocket message that is none of ours, or comes at the wrong time."""

    code = "invalid_message"


class TextTimeout(RequestError):
    """The text of an utterance did not go on within the limit."""

    status = 408
    code = "request_timeout"


class RequestTimeout(RequestError):
    """The request did not arrive within the limit."""

    status = 408
    code = "request_timeout"
    repeats = False


class HeadTooLarge(RequestError):
    """The request's headers passed the limit."""

    status = 431
    code = "headers_too_large"


class UrlTooLong(RequestError):
    """The request's URL passed the limit."""

    status = 414
    code = "url_too_long"


class InvalidHandshake(RequestError):
    """The request asks for a WebSocket, but not in the way of RFC 6455."""

    code = "invalid_handshake"


class HandshakeRefused(RequestError):
    """The application does not open the WebSocket."""

    status = 403
    code = "handshake_refused"


class UpgradeRequired(RequestError):
    """The route is a WebSocket's, and the request does not ask for one."""

    status = 426
    code = "upgrade_required"


class BodyTooLarge(RequestError):
    """The request body passed the limit."""

    status = 413
    code = "body_too_large"
