"""API keys for the routes below /v1/."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import count_rejection, error_response
from app.api.middleware.request_log import request_log_of
from app.errors import InvalidApiKey

# Found anywhere in the path, because a prefix (uvicorn's --root-path) may precede it.
PROTECTED_PATH = "/v1/"
# Prefix of the sub-protocol with which a page sends its key, since browsers allow no headers on a
# WebSocket. Prefix and name are those of OpenAI's realtime API.
KEY_PROTOCOL = "openai-insecure-api-key."
SPEECH_PROTOCOL = "realtime"


class ApiKeys:
    """API keys as hashes of equal length, so that comparison times reveal nothing about a key."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = [_hash(key.encode()) for key in keys]

    def find(self, key: bytes) -> int | None:
        """Return the index of a key, or None if unknown. Takes the same time for all keys."""
        hash_of_key = _hash(key)
        matches = [hmac.compare_digest(hash_of_key, known) for known in self._hashes]
        return matches.index(True) if any(matches) else None


class ApiKeyMiddleware:
    """Middleware that rejects requests below /v1/ without a known key before reading their body."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the number of its key, or respond with 401."""
        if scope["type"] == "lifespan" or PROTECTED_PATH not in scope["path"]:
            await self._app(scope, receive, send)
            return
        index = self._keys.find(_bearer_key(scope) or _subprotocol_key(scope))
        if index is None:
            await self._reject(scope, receive, send)
            return
        request_log_of(scope).key = index + 1
        await self._app(scope, receive, send)

    async def _reject(self, scope: Scope, receive: Receive, send: Send) -> None:
        count_rejection(scope, InvalidApiKey.code)
        error = InvalidApiKey("a valid API key is required (Authorization: Bearer KEY)")
        await error_response(error)(scope, receive, send)


def key_number_of(scope: Scope) -> int | None:
    """Return the position of a request's key in API_KEYS, from 1; None if the service has none."""
    return request_log_of(scope).key


def subprotocol_of(scope: Scope) -> str | None:
    """Choose the sub-protocol to accept from those that a WebSocket client offers.

    Browsers fail a connection if the server accepts none of the offered ones. The sub-protocol that
    carries the key is accepted only if no other is offered.
    """
    offered: list[str] = scope.get("subprotocols") or []
    others = [name for name in offered if not name.startswith(KEY_PROTOCOL)]
    if SPEECH_PROTOCOL in others:
        return SPEECH_PROTOCOL
    if len(others) == len(offered):
        return None
    return others[0] if others else offered[0]


def _subprotocol_key(scope: Scope) -> bytes:
    """Return the key among the sub-protocols that a WebSocket client offers."""
    offered: list[str] = scope.get("subprotocols") or []
    keys = (name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL))
    return next(keys, "").encode("latin-1", "replace")


def _bearer_key(scope: Scope) -> bytes:
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
