"""Multipart uploads: one file and some fields, within limits, and checked like JSON."""

from __future__ import annotations

from typing import TypeVar, cast

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.request_errors import BodyTooLarge, InvalidForm

F = TypeVar("F", bound=BaseModel)
MAX_FIELDS = 64
MAX_FIELD_BYTES = 4_000_000  # a text of MAX_INPUT_CHARACTERS at its highest, four bytes each


async def read_upload(request: Request, file: str, fields: type[F], limit_bytes: int) -> tuple[bytes, F]:
    """The file in the field `file`, and the other fields. Its name and type are not looked at.

    Raises:
        InvalidForm: the body is not a form with at most one file.
        RequestValidationError: a field is missing or wrong.
        BodyTooLarge: the file is larger than `limit_bytes`.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise InvalidForm("the body must be multipart/form-data")
    limits = {"max_files": 1, "max_fields": MAX_FIELDS, "max_part_size": MAX_FIELD_BYTES}
    try:
        async with request.form(**limits) as form:
            return await _read_file(form, file, limit_bytes), _fields(form, fields)
    except HTTPException as exc:
        if exc.status_code == BodyTooLarge.status:
            raise
        raise InvalidForm(f"the body must be a form with one file and at most {MAX_FIELDS} fields") from exc
    except UnicodeError as exc:  # Starlette reads what is not in its charset as latin-1, but some charsets read nothing
        raise InvalidForm("the form's charset is none in which it can be read") from exc


async def _read_file(form: FormData, name: str, limit_bytes: int) -> bytes:
    part = form.get(name)
    if not isinstance(part, UploadFile):
        raise RequestValidationError([{"type": "missing", "loc": ("body", name), "msg": "a file is required"}])
    data = await part.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise BodyTooLarge(f"{name} is larger than {limit_bytes} bytes", param=name)
    return data


def _fields(form: FormData, model: type[F]) -> F:
    """The form's texts as `model` reads them; empty ones are absent, as browsers send them unasked."""
    texts = {name: value for name, value in form.items() if isinstance(value, str) and value}
    try:
        return model.model_validate(texts)
    except ValidationError as exc:
        raise RequestValidationError(exc.errors(include_url=False, include_context=False)) from exc


def form_schema(file: str, fields: type[BaseModel]) -> dict[str, object]:
    """The OpenAPI description of such a body."""
    schema = fields.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    binary = {"type": "string", "format": "binary", "description": "wav, mp3, flac, ogg, opus, m4a, webm, aac or aiff."}
    properties = cast("dict[str, object]", schema["properties"])
    schema["properties"] = {file: binary, **properties}
    schema["required"] = [file, *schema.get("required", [])]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
