"""Give each request an id, and log one line for it: method, path and result, never its text."""

from __future__ import annotations

import logging
import time
from ipaddress import ip_address
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.request_log import HEADER, RequestLog, format_fields, request_log_of
from app.api.otel import PROBES
from app.api.paths import route_path

log = logging.getLogger("app.api.middleware.access_log")  # log collectors select it by this name

PATH_CHARACTERS = 200  # longest path in a log line
ANSWERS = ("http.response.start", "websocket.http.response.start")  # the second rejects a WebSocket
WEBSOCKET_STATUS = {"websocket.accept": 101, "websocket.close": 403}


class RequestContext:
    """Middleware that adds the request id to each response and logs each request at its end.

    Errors have the id, too. Probes are logged at debug, 5xx and incomplete responses as warnings,
    the rest as info. A WebSocket connection is one request; its status is 101 if it was accepted.
    """

    def __init__(self, app: ASGIApp, *, addresses: bool = False) -> None:
        """`addresses`: add the client's IP address, which is personal data, to each line."""
        self._app, self._addresses = app, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log its result."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_log = request_log_of(scope)
        if self._addresses:
            request_log.client = _client(scope)
        begun_s = time.monotonic()
        complete = False

        async def send_with_id(message: Message) -> None:
            request_log.status = request_log.status or _status(message)
            if message["type"] in ANSWERS:
                request_id = (HEADER.encode(), request_log.request_id.encode())
                message = {**message, "headers": [*message.get("headers", ()), request_id]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
            complete = True
        finally:
            request_log.end(time.monotonic() - begun_s, complete=complete)
            _log(scope, request_log)


def _status(message: Message) -> int | None:
    """Return the status that a message gives to the response, or None if it gives none.

    A WebSocket that is closed without being accepted has the status 403.
    """
    if message["type"] in ANSWERS:
        return cast("int", message["status"])
    return WEBSOCKET_STATUS.get(message["type"])


def _log(scope: Scope, request_log: RequestLog) -> None:
    level = _level(scope, request_log)
    if not log.isEnabledFor(level):
        return
    fields = {"request_id": request_log.request_id, **request_log.fields()}
    method, path = scope.get("method", "GET"), _path(scope)
    extra = {**fields, "path": path}
    log.log(level, "%s %s %s", method, path, format_fields(fields), extra=extra)


def _level(scope: Scope, request_log: RequestLog) -> int:
    if route_path(scope) in PROBES:
        return logging.DEBUG
    failed = request_log.broken or (request_log.status or 0) >= 500
    return logging.WARNING if failed and request_log.error != "cancelled" else logging.INFO


def _client(scope: Scope) -> str | None:
    """Return the client's address: the peer, or the client named by a proxy that uvicorn trusts.

    None if that name is not an IP address.
    """
    host = (scope.get("client") or ("",))[0]
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def _path(scope: Scope) -> str:
    """Return the path percent-encoded as sent, because a decoded path may contain line breaks."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "replace")
    return raw[:PATH_CHARACTERS].decode("ascii", "replace")
