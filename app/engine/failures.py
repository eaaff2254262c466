"""What an engine's refusal, or a broken connection to it, means to our client.

No message holds anything that the engine said: its errors may quote the prompt.
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
    ServiceError,
)
from app.request_errors import InputTooLong

MAX_RETRY_AFTER_S: Final = 30
# vLLM 0.32 words it in three ways: a prompt beyond the context, the same by its parameter's name, and
# a prompt that leaves no room ("max_tokens must be at least 1, got 0"; ours is never below 1).
_TOO_LONG: Final = re.compile(rb"maximum context length|input_tokens|max_tokens must be at least 1")


def refusal(status: int, retry_after: str | None, body: bytes) -> ServiceError:
    """The error for an answer whose status is not 200."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return EngineError("the engine does not accept this server's key")
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return EngineOverloaded("the engine's queue is full", retry_after_s=_seconds(retry_after))
    if status == HTTPStatus.BAD_REQUEST and _TOO_LONG.search(body):
        return InputTooLong("the text does not fit the model's context", param="input")
    if status in (
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ):
        return EngineRefused("the engine refused the request")
    return EngineError("the engine refused the request")


def _seconds(retry_after: str | None) -> int:
    digits = (retry_after or "").strip()
    return max(1, min(int(digits), MAX_RETRY_AFTER_S)) if re.fullmatch("[0-9]{1,9}", digits) else 1


def connection_failure(exc: aiohttp.ClientError) -> EngineError:
    """The error for an exception of the HTTP client."""
    match exc:
        case aiohttp.ServerTimeoutError():
            return EngineTimeout("the engine did not accept the connection in time")
        case aiohttp.ClientConnectorError():
            return EngineUnreachable("the engine cannot be reached")
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError():
            return EngineTruncated(
                "the engine closed the connection before the speech was complete"
            )
        case _:
            return EngineProtocolError("the engine's answer is not valid HTTP")
