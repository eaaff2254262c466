"""Limit the bytes and the JSON values of a request's body while it is read."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import count_rejection, error_response
from app.api.paths import path_is_one_of
from app.errors import BodyTooLarge, TooManyValues

MAX_VALUES = 50_000  # of JSON, which Python parses in 40 ms; 4 MB of brackets take a second
LENGTH_DIGITS = 18  # Python converts at most 4,300 digits, including leading zeros


def count_values(data: bytes) -> int:
    """Count the commas and opening brackets in JSON, of which each value but the first needs one.

    Those inside strings count, too.
    """
    return sum(map(data.count, (b",", b"[", b"{")))


class BodyLimit:
    """Middleware that rejects a body over a limit by its Content-Length, or once it is exceeded.

    FastAPI's `max_body_size` does the same, but responds in plain text instead of our error format.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit_bytes: int,
        max_values: int,
        upload_bytes: int = 0,
        upload_paths: tuple[str, ...] = (),
    ) -> None:
        """`upload_bytes`: limit for `upload_paths`, whose bodies are not JSON."""
        self._app = app
        self._limit_bytes, self._max_values = limit_bytes, max_values
        self._upload_bytes, self._upload_paths = upload_bytes, upload_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with 413."""
        lengths = [value for name, value in scope.get("headers", []) if name == b"content-length"]
        is_upload = path_is_one_of(scope, self._upload_paths)
        limit_bytes = self._upload_bytes if is_upload else self._limit_bytes
        if lengths and _content_length(lengths[0]) > limit_bytes:
            count_rejection(scope, BodyTooLarge.code)
            error = BodyTooLarge("the request body is too large")
            await error_response(error)(scope, receive, send)
            return
        received = values = 0

        async def receive_limited() -> Message:
            nonlocal received, values
            message = await receive()
            body: bytes = message.get("body", b"")
            received += len(body)
            if received > limit_bytes:
                # app.api.errors converts it to BodyTooLarge.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            values += 0 if is_upload else count_values(body)
            if values > self._max_values:
                raise TooManyValues("the body contains too many JSON values")
            return message

        await self._app(scope, receive_limited, send)


def _content_length(length: bytes) -> int:
    """Return the value of Content-Length, or 0 for no number, which the server has rejected."""
    digits = length.lstrip(b"0")[:LENGTH_DIGITS]
    return int(digits) if digits.isdigit() else 0
