"""Mapping of an engine's error responses and connection errors to errors for the client.

No message contains text of the engine, whose errors may quote the prompt.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

import aiohttp

from app.errors import (
    EngineError,
    EngineOverloaded,
    EngineProtocolError,
    EngineRefused,
    EngineTimeout,
    EngineTruncated,
    EngineUnreachable,
    InputTooLong,
    ServiceError,
)

MAX_RETRY_AFTER_S: Final = 30
# vLLM 0.32 has three messages for a text that is too long: for a prompt longer than the context,
# the same with the name of the parameter, and for a prompt as long as the context ("max_tokens
# must be at least 1, got 0"; our max_tokens is never below 1).
_TOO_LONG: Final = re.compile(rb"maximum context length|input_tokens|max_tokens must be at least 1")


def error_for_status(status: int, retry_after: str | None, body: bytes) -> ServiceError:
    """Return the error for a response with a status other than 200."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return EngineError("the engine rejected this server's API key")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return EngineOverloaded("the engine's queue is full", retry_after_s=_seconds(retry_after))
    if status == HTTPStatus.BAD_REQUEST and _TOO_LONG.search(body):
        return InputTooLong("the text does not fit the model's context", param="input")
    if status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ):
        return EngineRefused("the engine rejected the request")
    return EngineError("the engine rejected the request")


def _seconds(retry_after: str | None) -> int:
    digits = (retry_after or "").strip()
    return max(1, min(int(digits), MAX_RETRY_AFTER_S)) if re.fullmatch("[0-9]{1,9}", digits) else 1


def connection_error(exc: aiohttp.ClientError) -> EngineError:
    """Return the error for an exception of the HTTP client."""
    match exc:
        case aiohttp.ServerTimeoutError():
            return EngineTimeout("the connection to the engine timed out")
        case aiohttp.ClientConnectorError():
            return EngineUnreachable("the engine cannot be reached")
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError():
            return EngineTruncated("the engine closed the connection during the generation")
        case _:
            return EngineProtocolError("the engine's response is not valid HTTP")
