"""The caps on a request's body, while it is read: on its bytes, and on the values in its JSON."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.failure import failure_response, refused
from app.api.path import is_at
from app.request_errors import BodyTooLarge, TooManyValues

MAX_VALUES = 50_000  # of JSON: Python reads these in 40 ms, but 4 MB of brackets in a second
LENGTH_DIGITS = 18  # Python converts no more than 4,300 digits, leading zeros among them


def count_values(data: bytes) -> int:
    """The commas and opening brackets in JSON: each value but the first needs one. Those in texts count, too."""
    return sum(map(data.count, (b",", b"[", b"{")))


class BodyCap:
    """Refuses a body over a cap: at once where Content-Length says so, else when it has come.

    FastAPI's `max_body_size` does the same, but answers in plain text and not in the shape of our errors.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit_bytes: int,
        most_values: int,
        upload_bytes: int = 0,
        upload_paths: tuple[str, ...] = (),
    ) -> None:
        """`upload_bytes` is the cap of `upload_paths`, whose bodies are no JSON."""
        self._app = app
        self._limit_bytes, self._most_values = limit_bytes, most_values
        self._upload_bytes, self._upload_paths = upload_bytes, upload_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 413."""
        lengths = [value for name, value in scope.get("headers", []) if name == b"content-length"]
        is_upload = is_at(scope, self._upload_paths)
        limit_bytes = self._upload_bytes if is_upload else self._limit_bytes
        if lengths and _stated_bytes(lengths[0]) > limit_bytes:
            refused(scope, BodyTooLarge.code)
            await failure_response(BodyTooLarge("the request body is too large"))(
                scope, receive, send
            )
            return
        received = values = 0

        async def counted() -> Message:
            nonlocal received, values
            message = await receive()
            body: bytes = message.get("body", b"")
            received += len(body)
            if received > limit_bytes:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                )  # our handler gives it its shape
            values += 0 if is_upload else count_values(body)
            if values > self._most_values:
                raise TooManyValues("the body holds too many values")
            return message

        await self._app(scope, counted, send)


def _stated_bytes(length: bytes) -> int:
    """The bytes that a Content-Length states; 0 for what is no number, which the server has refused."""
    digits = length.lstrip(b"0")[:LENGTH_DIGITS]
    return int(digits) if digits.isdigit() else 0
