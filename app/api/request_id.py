"""One id for each request: in the answer's header, in the log, and the caller's own where it is sane."""

from __future__ import annotations

import re
from typing import cast
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"
ANSWERS = ("http.response.start", "websocket.http.response.start")  # the second refuses a WebSocket
SANE = re.compile(r"[A-Za-z0-9_-]{1,64}")  # may stand in a header and in a line of the log as it is


class RequestIds:
    """Names every request, and says the name in every answer, refusals and our own bugs included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        name = identify(scope)

        async def named(message: Message) -> None:
            if message["type"] in ANSWERS:
                message = {
                    **message,
                    "headers": [*message.get("headers", ()), (HEADER.encode(), name.encode())],
                }
            await send(message)

        await self._app(scope, receive, named)


def identify(scope: Scope) -> str:
    """Name a request, unless it has a name; what refuses one before `RequestIds` has seen it does this too."""
    state = scope.setdefault("state", {})
    if "request_id" not in state:
        state["request_id"] = _name(scope)
    return request_id_of(scope)


def request_id_of(scope: Scope) -> str:
    """The id of a request that has been named."""
    return cast("str", scope["state"]["request_id"])


def _name(scope: Scope) -> str:
    asked = Headers(raw=scope.get("headers", [])).get(HEADER, "")
    return asked if SANE.fullmatch(asked) else uuid4().hex
