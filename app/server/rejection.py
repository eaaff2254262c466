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
    request_id = request_log_of(scope).request_id
    log.info("request %s: %s", request_id, error.code)
    response = error_response(error)
    headers = [
        *headers,
        *response.raw_headers,
        (HEADER.encode(), request_id.encode()),
        (b"connection", b"close"),
    ]
    lines = [STATUS_LINE[error.status], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
    return b"".join(lines) + bytes(response.body)
