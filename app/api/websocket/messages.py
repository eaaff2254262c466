"""Messages from a WebSocket client that sends text to speak."""

from __future__ import annotations

import json
from typing import Annotated, Literal, NoReturn, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.api.middleware.body_limit import count_values
from app.api.schemas import SpeechRequest
from app.errors import InvalidMessage
from app.text.surrogates import joined


class SessionMessage(BaseModel):
    """Options of the following utterances: the fields of a speech request except `input`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: Literal["session"]


class TextMessage(BaseModel):
    """The next chunk of an utterance's text."""

    model_config = ConfigDict(frozen=True)
    type: Literal["text"]
    text: str


class ControlMessage(BaseModel):
    """`flush` speaks the text so far, `end` ends the text, `cancel` cancels all utterances."""

    model_config = ConfigDict(frozen=True)
    type: Literal["flush", "end", "cancel"]


Message = SessionMessage | TextMessage | ControlMessage
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def read_message(data: str | bytes, max_values: int) -> Message:
    """Parse a client's message. `max_values`: limit of the values in its JSON.

    A lone surrogate in `text` is kept, because the other half may follow in the next message.

    Raises:
        InvalidMessage: not JSON, not one of our messages, or too many values.
    """
    encoded = data if isinstance(data, bytes) else data.encode(errors="ignore")
    if count_values(encoded) > max_values:
        raise InvalidMessage("the message contains too many JSON values")
    try:
        text = data if isinstance(data, str) else data.decode()
        content = json.loads(text, parse_constant=_no_constant)  # pydantic rejects lone surrogates
    except (ValueError, RecursionError) as exc:
        raise InvalidMessage("a message must be JSON") from exc
    if not isinstance(content, dict):
        raise InvalidMessage("a message must be a JSON object")
    fields = {joined(name): value for name, value in cast("dict[str, object]", content).items()}
    try:
        return _MESSAGE.validate_python(fields)
    except ValidationError as exc:
        if exc.errors()[0]["type"].startswith("union_tag"):
            message = "type: must be one of session, text, flush, end, cancel"
            raise InvalidMessage(message, param="type") from exc
        raise _invalid(exc) from exc


def session_of(message: SessionMessage) -> SpeechRequest:
    """Return the speech request of each utterance in a session, without its input.

    The default format is pcm.

    Raises:
        InvalidMessage: a field is not valid in a speech request.
    """
    extra = message.model_extra or {}
    given = {name: _joined(value) for name, value in extra.items() if value is not None}
    try:
        return SpeechRequest.model_validate({"response_format": "pcm", **given, "input": ""})
    except ValidationError as exc:
        raise _invalid(exc) from exc


def _joined(value: object) -> object:
    """Return a field's value with its surrogate pairs joined and lone surrogates removed."""
    if isinstance(value, dict):  # the id of a voice
        fields = cast("dict[str, object]", value)
        return {
            name: joined(field) if isinstance(field, str) else field
            for name, field in fields.items()
        }
    return joined(value) if isinstance(value, str) else value


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and infinities are not valid JSON")


def _invalid(error: ValidationError) -> InvalidMessage:
    """Return the first validation error, named by field and rule, without the client's value."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = next((str(part) for part in reversed(first["loc"]) if isinstance(part, str)), None)
    if len(first["loc"]) == 1 and field in {"session", "text", "flush", "end", "cancel"}:
        field = None  # it is the type of the message
    message = f"{field}: {first['msg']}" if field else str(first["msg"])
    return InvalidMessage(message[:500], param=field)
