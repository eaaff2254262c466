"""Give each request an id for its response header and the log, the client's own if valid."""

from __future__ import annotations

import re
from typing import cast
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
ANSWERS = ("http.response.start", "websocket.http.response.start")  # the second rejects a WebSocket
VALID_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # safe in a header and in a log line


class RequestIdMiddleware:
    """Middleware that adds the request id to every response, including all errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add its id to the response."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        name = assign_request_id(scope)

        async def named(message: Message) -> None:
            if message["type"] in ANSWERS:
                headers = [*message.get("headers", ()), (HEADER.encode(), name.encode())]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, named)


def assign_request_id(scope: Scope) -> str:
    """Give the request an id unless it has one, and return it.

    Code that rejects a request before `RequestIdMiddleware` runs calls this, too.
    """
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = _name(scope)
    return request_id_of(scope)


def request_id_of(scope: Scope) -> str:
    """Return the id that `identify` gave to the request."""
    return cast("str", scope["state"]["request_id"])


def _name(scope: Scope) -> str:
    asked = Headers(raw=scope.get("headers", [])).get(HEADER, "")
    return asked if VALID_REQUEST_ID.fullmatch(asked) else uuid4().hex
