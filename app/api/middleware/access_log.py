"""Log one line for each request: method, path, status, duration and result, never its text."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.request_id import ANSWERS, request_id_of
from app.api.otel import PROBES
from app.api.paths import route_path

log = logging.getLogger(__name__)

LogFields = Mapping[str, str | int | float | bool]
PATH_CHARACTERS = 200  # longest path in a log line
WEBSOCKET_STATUS = {"websocket.accept": 101, "websocket.close": 403}


class AccessLog:
    """Middleware that logs each request when it has ended.

    Probes are logged at debug, 5xx and incomplete responses as warnings, the rest as info. A
    WebSocket connection is one request; its status is 101 if it was accepted.
    """

    def __init__(self, app: ASGIApp, *, addresses: bool = False) -> None:
        """`addresses`: add the client's IP address, which is personal data, to each line."""
        self._app, self._addresses = app, addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log its result."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if self._addresses:
            add_log_fields(scope, **_client(scope))
        status = 0
        broken = True
        begun_s = time.monotonic()

        async def noted(message: Message) -> None:
            nonlocal status
            status = status or _status(message)
            await send(message)

        try:
            await self._app(scope, receive, noted)
            broken = False
        finally:
            _log(
                scope,
                {
                    "status": status,
                    "broken": broken,
                    "duration_s": round(time.monotonic() - begun_s, 4),
                },
            )


def add_log_fields(scope: Scope, **fields: str | int | float) -> None:
    """Add fields to the log line of a request."""
    scope.setdefault("state", {}).setdefault("facts", {}).update(fields)


def log_fields(scope: Scope) -> LogFields:
    """Return the fields added to the log line of a request so far."""
    return cast("LogFields", scope.get("state", {}).get("facts", {}))


def format_fields(fields: LogFields) -> str:
    """Format fields as `name=value`, separated by spaces."""
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _status(message: Message) -> int:
    """Return the status that a message gives to the response, or 0 if it gives none.

    A WebSocket that is closed without being accepted has the status 403.
    """
    if message["type"] in ANSWERS:
        return cast("int", message["status"])
    return WEBSOCKET_STATUS.get(message["type"], 0)


def _log(scope: Scope, outcome: LogFields) -> None:
    fields = {"request_id": request_id_of(scope), **outcome, **log_fields(scope)}
    level = _level(route_path(scope), fields)
    if not log.isEnabledFor(level):
        return
    path = _path(scope)
    log.log(
        level,
        "%s %s %s",
        scope.get("method", "GET"),
        path,
        format_fields(fields),
        extra={**fields, "path": path},
    )


def _client(scope: Scope) -> dict[str, str]:
    """Return the client's address: the peer, or the client named by a proxy that uvicorn trusts.

    The result is empty if that name is not an IP address.
    """
    host = (scope.get("client") or ("",))[0]
    try:
        return {"client": str(ip_address(host))}
    except ValueError:
        return {}


def _level(path: str, fields: LogFields) -> int:
    if path in PROBES:
        return logging.DEBUG
    failed = fields["broken"] or cast("int", fields["status"]) >= 500
    return logging.WARNING if failed and fields.get("error") != "cancelled" else logging.INFO


def _path(scope: Scope) -> str:
    """Return the path percent-encoded as sent, because a decoded path may contain line breaks."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "replace")
    return raw[:PATH_CHARACTERS].decode("ascii", "replace")
