"""Failures as answers: every error becomes an OpenAI error object, without a word of the input."""

from __future__ import annotations

import logging
from dataclasses import asdict
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import metrics
from app.api.access import facts_of, note
from app.api.path import route_path
from app.api.request_id import request_id_of
from app.errors import ErrorBody, ServiceError
from app.request_errors import (
    BodyTooLarge,
    InvalidApiKey,
    InvalidHandshake,
    RequestError,
    UpgradeRequired,
)

log = logging.getLogger(__name__)
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
BODY_RULE = "the body must be a JSON object, sent with Content-Type: application/json"
SPEECH_PATHS = ("/v1/audio/speech", "/v1/audio/vc")


class ResponseBroken(Exception):
    """Raised out of the application after the start, so that the server breaks the body off."""


def failure_response(error: ServiceError, status: int | None = None) -> JSONResponse:
    """The answer to a service error, with the headers that tell a client what to do next; `status` for its own."""
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.repeats:
        headers["x-should-retry"] = (
            "false"  # the OpenAI SDKs obey it; otherwise they try twice more
        )
    if isinstance(error, InvalidApiKey):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, UpgradeRequired):
        headers["upgrade"] = "websocket"
        headers["connection"] = (
            "upgrade, close"  # RFC 9110, 7.8: the first token belongs to the header above
        )
    if isinstance(error, InvalidHandshake):
        headers["sec-websocket-version"] = "13"  # RFC 6455, 4.4
    return _answer(status or error.status, error.body(), headers)


def install_failure_handlers(app: FastAPI) -> None:
    """Answer service errors, bad requests and unknown routes in one shape."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


class LastResort:
    """Answers our own bugs as Starlette does, but inside the middlewares that add to every answer's headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; an unforeseen exception is answered where it still can be, and goes on to the server."""
        started = scope["type"] != "http"

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as exc:
            if isinstance(exc, ClientDisconnect):
                _left(scope)
            elif not isinstance(
                exc, ResponseBroken
            ):  # which is raised on purpose, and logged where it broke
                log.error("request %s: unexpected error", request_id_of(scope), exc_info=exc)
                if not started:
                    await failure_response(ServiceError("internal error"))(scope, receive, send)
            raise


def refused(scope: Scope, code: str) -> None:
    """Refusals at the door are noted and counted like failures behind it."""
    note(scope, error=code)
    if route_path(scope) in SPEECH_PATHS:
        metrics.REQUESTS.labels(code).inc()


def _left(scope: Scope) -> None:
    """Nobody is there to answer: the client went before it had asked, unless the server has refused it meanwhile."""
    if "error" not in facts_of(scope):
        refused(scope, "cancelled")
        note(scope, reason="the client left before its request was complete")


def _answer(status: int, body: ErrorBody, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"error": asdict(body)}, status_code=status, headers=headers)


async def _on_service_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ServiceError)
    refused(request.scope, exc.code)
    return failure_response(exc)


async def _on_invalid_request(request: Request, exc: Exception) -> JSONResponse:
    """The first thing wrong, named by field and rule; pydantic's `input` and `url` stay inside."""
    assert isinstance(exc, RequestValidationError)
    refused(request.scope, RequestError.code)
    first = exc.errors()[0]
    field = next(
        (str(part) for part in first["loc"] if part != "body" and isinstance(part, str)), None
    )
    message = f"{field}: {first['msg']}" if field else f"{first['msg']} ({BODY_RULE})"
    body = ErrorBody(message[:500], RequestError.type, field, str(first["type"]))
    return _answer(RequestError.status, body, {"x-should-retry": "false"})


async def _on_http_exception(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    if isinstance(exc.__cause__, ClientDisconnect):
        raise exc.__cause__  # a client that left is no bad request
    if isinstance(exc.__cause__, ServiceError):  # raised while the body was read
        return await _on_service_error(request, exc.__cause__)
    if exc.status_code == BodyTooLarge.status:
        refused(request.scope, BodyTooLarge.code)
        return failure_response(BodyTooLarge("the request body is too large"))
    phrase = HTTPStatus(exc.status_code)
    body = ErrorBody(phrase.phrase, RequestError.type, None, phrase.name.lower())
    headers = {**(exc.headers or {}), "x-should-retry": "false"}
    if phrase is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    return _answer(exc.status_code, body, headers)


def _methods(request: Request) -> list[str]:
    """Every method of a path; Starlette names those of its first route alone."""
    routes: list[BaseRoute] = request.app.routes

    def matches(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return [method for method in METHODS if matches(method)]
