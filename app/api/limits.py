"""The cap on a request's body, while it is read."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.failure import failure_response, refused
from app.api.path import is_at
from app.request_errors import BodyTooLarge


class BodyCap:
    """Refuses a body over the cap: at once where Content-Length says so, else when it has come.

    FastAPI's `max_body_size` does the same, but answers in plain text and not in the shape of our errors.
    """

    def __init__(
        self, app: ASGIApp, limit_bytes: int, upload_bytes: int = 0, upload_paths: tuple[str, ...] = ()
    ) -> None:
        """`upload_bytes` is the cap of `upload_paths`."""
        self._app = app
        self._limit_bytes = limit_bytes
        self._upload_bytes, self._upload_paths = upload_bytes, upload_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 413."""
        lengths = [value for name, value in scope.get("headers", []) if name == b"content-length"]
        limit_bytes = self._upload_bytes if is_at(scope, self._upload_paths) else self._limit_bytes
        if lengths and lengths[0].isdigit() and int(lengths[0]) > limit_bytes:
            refused(scope, BodyTooLarge.code)
            await failure_response(BodyTooLarge("the request body is too large"))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit_bytes:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)  # our handler gives it its shape
            return message

        await self._app(scope, counted, send)
