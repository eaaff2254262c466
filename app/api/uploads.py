"""Multipart uploads: one file and some fields, validated like JSON."""

from __future__ import annotations

import asyncio
from typing import TypeVar, cast

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from app.api.form import Form, boundary_of, read_form
from app.errors import BodyTooLarge

Fields = TypeVar("Fields", bound=BaseModel)


async def read_upload(
    request: Request, file: str, fields: type[Fields], limit_bytes: int
) -> tuple[bytes, Fields]:
    """Return the file in the field `file`, and the other fields.

    The name and the type of the file are ignored.

    Raises:
        InvalidForm: the body is not a form in UTF-8 with at most one file.
        RequestValidationError: a field is missing or invalid.
        BodyTooLarge: the file is larger than `limit_bytes`.
        ClientDisconnect: the client disconnected before its body was complete.
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    body = bytearray()  # a list would add fifty bytes to each chunk, which may be one byte
    async for chunk in request.stream():
        body += chunk
    form = await asyncio.to_thread(read_form, body, boundary)
    data = form.files.get(file)
    if data is None:
        raise RequestValidationError(
            [{"type": "missing", "loc": ("body", file), "msg": "a file is required"}]
        )
    if len(data) > limit_bytes:
        raise BodyTooLarge(f"{file} is larger than {limit_bytes} bytes", param=file)
    return data, _fields(form, fields)


def _fields(form: Form, model: type[Fields]) -> Fields:
    """Validate the form's texts. Empty texts, which browsers send unasked, count as absent."""
    texts = {name: value for name, value in form.texts.items() if value}
    try:
        return model.model_validate(texts)
    except ValidationError as exc:
        raise RequestValidationError(exc.errors(include_url=False, include_context=False)) from exc


def form_schema(file: str, fields: type[BaseModel]) -> dict[str, object]:
    """Return the OpenAPI description of a form with one file."""
    schema = fields.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    binary = {
        "type": "string",
        "format": "binary",
        "description": "Recording in wav, mp3, flac, ogg, opus, m4a, webm, aac or aiff.",
    }
    properties = cast("dict[str, object]", schema["properties"])
    schema["properties"] = {file: binary, **properties}
    schema["required"] = [file, *schema.get("required", [])]
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }
