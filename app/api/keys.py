"""API keys: who may use the routes below /v1/."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import cast

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import note
from app.api.failure import failure_response, refused
from app.request_errors import InvalidApiKey

# Anywhere in the path: behind a prefix (uvicorn's --root-path) the routes are the same.
KEYED = "/v1/"
KEY_PROTOCOL = (
    "openai-insecure-api-key."  # of a WebSocket whose page can send no header, as OpenAI has it
)
SPEECH_PROTOCOL = "realtime"  # OpenAI's name for the one that is spoken


class ApiKeys:
    """The keys, as hashes: all of one length, so that a comparison tells nothing of the key."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._hashes = [_hashed(key.encode()) for key in keys]

    def find(self, key: bytes) -> int | None:
        """The number of a key; None for one that is not known. Takes as long for each."""
        hashed = _hashed(key)
        matches = [hmac.compare_digest(hashed, known) for known in self._hashes]
        return matches.index(True) if any(matches) else None


class KeyCheck:
    """Refuses requests below /v1/ without a known key, before a byte of their body is read."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with the number of its key, or answer it with 401."""
        if scope["type"] == "lifespan" or KEYED not in scope["path"]:
            await self._app(scope, receive, send)
            return
        number = self._keys.find(_bearer(scope) or _offered(scope))
        if number is None:
            await self._refuse(scope, receive, send)
            return
        scope["state"]["api_key"] = number
        note(scope, **named(number))
        await self._app(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused(scope, InvalidApiKey.code)
        error = InvalidApiKey("a valid API key is needed: Authorization: Bearer KEY")
        await failure_response(error)(scope, receive, send)


def key_number_of(scope: Scope) -> int | None:
    """The number of a request's key; None where the service is open."""
    return cast("int | None", scope["state"].get("api_key"))


def named(number: int | None) -> dict[str, int]:
    """A key in a line of the log: its place in API_KEYS, from 1."""
    return {} if number is None else {"key": number + 1}


def subprotocol_of(scope: Scope) -> str | None:
    """The sub-protocol to accept of those that a WebSocket's client offers: the key's only where there is no other.

    Browsers fail a connection whose server accepts none of those offered.
    """
    offered: list[str] = scope.get("subprotocols") or []
    others = [name for name in offered if not name.startswith(KEY_PROTOCOL)]
    if SPEECH_PROTOCOL in others:
        return SPEECH_PROTOCOL
    if len(others) == len(offered):
        return None
    return others[0] if others else offered[0]


def _offered(scope: Scope) -> bytes:
    """The key among the sub-protocols that a WebSocket's client offers."""
    offered: list[str] = scope.get("subprotocols") or []
    keys = (name.removeprefix(KEY_PROTOCOL) for name in offered if name.startswith(KEY_PROTOCOL))
    return next(keys, "").encode("latin-1", "replace")


def _bearer(scope: Scope) -> bytes:
    scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
    return key.strip().encode("latin-1") if scheme.lower() == "bearer" else b""


def _hashed(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
