"""Error responses written by a connection in place of the application."""

from __future__ import annotations

import logging

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.errors import error_response
from app.api.middleware.request_log import HEADER, request_log_of
from app.errors import ServiceError

log = logging.getLogger(__name__)


def rejection_bytes(error: ServiceError, scope: Scope, headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the bytes of a complete error response that closes the connection; log it by its id.

    `headers` are those that the server adds to every response.
    """
    name = request_log_of(scope).request_id
    log.info("request %s: %s", name, error.code)
    answer = error_response(error)
    headers = [
        *headers,
        *answer.raw_headers,
        (HEADER.encode(), name.encode()),
        (b"connection", b"close"),
    ]
    lines = [STATUS_LINE[error.status], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
    return b"".join(lines) + bytes(answer.body)
