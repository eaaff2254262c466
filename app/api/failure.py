"""Failures as answers: every error becomes an OpenAI error object, without a word of the input."""

from __future__ import annotations

import logging
from dataclasses import asdict
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app import metrics
from app.errors import BodyTooLarge, ErrorBody, RequestError, ServiceError

log = logging.getLogger(__name__)
BODY_RULE = "the body must be a JSON object, sent with Content-Type: application/json"
SPEECH_PATHS = ("/v1/audio/speech", "/v1/audio/vc")


class ResponseBroken(Exception):
    """Raised out of the application after the start, so that the server breaks the body off."""


def failure_response(error: ServiceError) -> JSONResponse:
    """The answer to a service error, with Retry-After and x-should-retry where they help."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.repeats:
        headers["x-should-retry"] = "false"  # the OpenAI SDKs obey it; otherwise they try twice more
    return _answer(error.status, error.body(), headers)


def install_failure_handlers(app: FastAPI) -> None:
    """Answer service errors, bad requests, unknown routes and our own bugs in one shape."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_bug)


def _answer(status: int, body: ErrorBody, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"error": asdict(body)}, status_code=status, headers=headers)


async def _on_service_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ServiceError)
    _count(request, exc.code)
    return failure_response(exc)


async def _on_invalid_request(request: Request, exc: Exception) -> JSONResponse:
    """The first thing wrong, named by field and rule; pydantic's `input` and `url` stay inside."""
    assert isinstance(exc, RequestValidationError)
    _count(request, RequestError.code)
    first = exc.errors()[0]
    field = next((str(part) for part in first["loc"] if part != "body" and isinstance(part, str)), None)
    message = f"{field}: {first['msg']}" if field else f"{first['msg']} ({BODY_RULE})"
    body = ErrorBody(message[:500], RequestError.type, field, str(first["type"]))
    return _answer(RequestError.status, body, {"x-should-retry": "false"})


async def _on_http_exception(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    if exc.status_code == BodyTooLarge.status:
        return failure_response(BodyTooLarge("the request body is too large"))
    phrase = HTTPStatus(exc.status_code)
    body = ErrorBody(phrase.phrase, RequestError.type, None, phrase.name.lower())
    return _answer(exc.status_code, body, {**(exc.headers or {}), "x-should-retry": "false"})


def _count(request: Request, code: str) -> None:
    """Refusals at the door count like failures behind it."""
    if request.url.path in SPEECH_PATHS:
        metrics.REQUESTS.labels(code).inc()


async def _on_bug(_: Request, exc: Exception) -> JSONResponse:
    if not isinstance(exc, ResponseBroken):  # broken on purpose, and logged where it broke
        log.error("unexpected error", exc_info=exc)
    return failure_response(ServiceError("internal error"))
