"""Error responses: every error becomes an OpenAI error object that contains no input."""

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
from app.api.middleware.request_log import request_log_of
from app.api.paths import route_path
from app.errors import (
    BodyTooLarge,
    ErrorBody,
    InvalidApiKey,
    InvalidHandshake,
    RequestError,
    ServiceError,
    UpgradeRequired,
)

log = logging.getLogger(__name__)
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
BODY_RULE = "the body must be a JSON object, sent with Content-Type: application/json"
SPEECH_PATHS = ("/v1/audio/speech", "/v1/audio/vc")


class ResponseBroken(Exception):
    """Raised after the response has started, so that the server aborts the body."""


def error_response(error: ServiceError, status: int | None = None) -> JSONResponse:
    """Return the response to a service error, with its headers for retries and upgrades.

    `status` replaces the status of the error.
    """
    headers: dict[str, str] = {}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(error.retry_after_s)
    if error.permanent:
        headers["x-should-retry"] = "false"  # OpenAI's SDKs obey it; by default they retry twice
    if isinstance(error, InvalidApiKey):
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, UpgradeRequired):
        headers["upgrade"] = "websocket"
        headers["connection"] = "upgrade, close"  # RFC 9110, 7.8: must name the Upgrade header
    if isinstance(error, InvalidHandshake):
        headers["sec-websocket-version"] = "13"  # RFC 6455, 4.4
    return _json_response(status or error.status, error.body(), headers)


def install_error_handlers(app: FastAPI) -> None:
    """Send service errors, invalid requests and unknown routes in one format."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


class UnhandledErrors:
    """Middleware that answers unexpected exceptions with 500.

    Starlette's own handler runs outside all middlewares, so its response would lack their headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Answer an exception with 500 if nothing was sent, then raise it."""
        started = scope["type"] != "http"

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception as exc:
            if isinstance(exc, ClientDisconnect):
                _count_disconnect(scope)
            elif not isinstance(exc, ResponseBroken):  # raised on purpose and logged already
                log.error(
                    "request %s: unexpected error", request_log_of(scope).request_id, exc_info=exc
                )
                if not started:
                    await error_response(ServiceError("internal error"))(scope, receive, send)
            raise


def count_rejection(scope: Scope, code: str, reason: str | None = None) -> None:
    """Log and count a request rejected before synthesis."""
    request_log_of(scope).fail(code, reason)
    if route_path(scope) in SPEECH_PATHS:
        metrics.REQUESTS.labels(code).inc()


def _count_disconnect(scope: Scope) -> None:
    """Count a client that disconnected too early, unless its request has been rejected already."""
    if request_log_of(scope).error is None:
        reason = "the client disconnected before its request was complete"
        count_rejection(scope, "cancelled", reason)


def _json_response(status: int, body: ErrorBody, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"error": asdict(body)}, status_code=status, headers=headers)


async def _on_service_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, ServiceError)
    count_rejection(request.scope, exc.code)
    return error_response(exc)


async def _on_invalid_request(request: Request, exc: Exception) -> JSONResponse:
    """Send the first validation error, named by field and rule, without pydantic's `input`."""
    assert isinstance(exc, RequestValidationError)
    count_rejection(request.scope, RequestError.code)
    first = exc.errors()[0]
    names = (part for part in first["loc"] if isinstance(part, str) and part != "body")
    field = next(names, None)
    message = f"{field}: {first['msg']}" if field else f"{first['msg']} ({BODY_RULE})"
    body = ErrorBody(message[:500], RequestError.type, field, str(first["type"]))
    return _json_response(RequestError.status, body, {"x-should-retry": "false"})


async def _on_http_exception(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    if isinstance(exc.__cause__, ClientDisconnect):
        raise exc.__cause__  # a disconnect is not a bad request
    if isinstance(exc.__cause__, ServiceError):  # raised while the body was read
        return await _on_service_error(request, exc.__cause__)
    if exc.status_code == BodyTooLarge.status:
        count_rejection(request.scope, BodyTooLarge.code)
        return error_response(BodyTooLarge("the request body is too large"))
    phrase = HTTPStatus(exc.status_code)
    body = ErrorBody(phrase.phrase, RequestError.type, None, phrase.name.lower())
    headers = {**(exc.headers or {}), "x-should-retry": "false"}
    if phrase is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return _json_response(exc.status_code, body, headers)


def _allowed_methods(request: Request) -> list[str]:
    """Return every method of a path. Starlette returns those of the first matching route alone."""
    routes: list[BaseRoute] = request.app.routes

    def matches(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return [method for method in METHODS if matches(method)]
