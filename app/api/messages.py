"""The messages of a client that writes text over a WebSocket."""

from __future__ import annotations

import json
from typing import Annotated, Literal, NoReturn, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.api.limits import count_values
from app.api.schemas import SpeechRequest
from app.request_errors import InvalidMessage
from app.speech.surrogates import joined


class SessionMessage(BaseModel):
    """How the utterances that follow are to be spoken: the fields of a speech request but its input."""

    model_config = ConfigDict(extra="allow", frozen=True)
    type: Literal["session"]


class TextMessage(BaseModel):
    """The next piece of an utterance's text."""

    model_config = ConfigDict(frozen=True)
    type: Literal["text"]
    text: str


class SignalMessage(BaseModel):
    """Speak what is there; speak the rest; speak no more."""

    model_config = ConfigDict(frozen=True)
    type: Literal["flush", "end", "cancel"]


Message = SessionMessage | TextMessage | SignalMessage
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def read_message(data: str | bytes, most_values: int) -> Message:
    """A message of the client. Half a character stays what it is: the other half may come with the next message.

    `most_values`: of its JSON.

    Raises:
        InvalidMessage: no JSON, none of ours, or too many values.
    """
    if (
        count_values(data if isinstance(data, bytes) else data.encode(errors="ignore"))
        > most_values
    ):
        raise InvalidMessage("the message holds too many values")
    try:
        content = json.loads(
            data if isinstance(data, str) else data.decode(), parse_constant=_no_constant
        )
    except (
        ValueError,
        RecursionError,
    ) as exc:  # pydantic's own parser refuses half a character, too
        raise InvalidMessage("a message must be JSON") from exc
    if not isinstance(content, dict):
        raise InvalidMessage("a message must be a JSON object")
    fields = {joined(name): value for name, value in cast("dict[str, object]", content).items()}
    try:
        return _MESSAGE.validate_python(fields)
    except ValidationError as exc:
        if exc.errors()[0]["type"].startswith("union_tag"):
            raise InvalidMessage(
                "type: one of session, text, flush, end, cancel", param="type"
            ) from exc
        raise _invalid(exc) from exc


def session_of(message: SessionMessage) -> SpeechRequest:
    """A speech request for each utterance of a session; its input comes later, its format is pcm unless it is given.

    Raises:
        InvalidMessage: a field that a speech request could not have.
    """
    given = {
        name: _whole(value)
        for name, value in (message.model_extra or {}).items()
        if value is not None
    }
    try:
        return SpeechRequest.model_validate({"response_format": "pcm", **given, "input": ""})
    except ValidationError as exc:
        raise _invalid(exc) from exc


def _whole(value: object) -> object:
    """A field's value without halves of characters, which no field can hold."""
    if isinstance(value, dict):  # the id of a voice
        fields = cast("dict[str, object]", value)
        return {
            name: joined(field) if isinstance(field, str) else field
            for name, field in fields.items()
        }
    return joined(value) if isinstance(value, str) else value


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and infinities are no JSON")


def _invalid(error: ValidationError) -> InvalidMessage:
    """The first thing wrong, named by field and rule, without what was sent."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = next((str(part) for part in reversed(first["loc"]) if isinstance(part, str)), None)
    field = (
        None
        if field in {"session", "text", "flush", "end", "cancel"} and len(first["loc"]) == 1
        else field
    )
    return InvalidMessage(
        f"{field}: {first['msg']}"[:500] if field else str(first["msg"])[:500], param=field
    )
