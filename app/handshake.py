"""The handshake of a WebSocket, from the headers that the HTTP parser has read."""

from __future__ import annotations

from collections.abc import Iterable

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake as Rejected
from websockets.http11 import Request
from websockets.server import ServerProtocol

from app.request_errors import InvalidHandshake

RawHeaders = list[tuple[bytes, bytes]]  # names in lower case


def asks_for_websocket(headers: RawHeaders) -> bool:
    """Tell whether `Upgrade`, a list of protocols, names this one."""
    return any(
        token.strip().lower() == b"websocket"
        for value in _values(headers, b"upgrade")
        for token in value
    )


def read_handshake(target: bytes, headers: RawHeaders) -> Request:
    """Check a handshake as RFC 6455, 4.2.1, does, and return it as the websockets library has it.

    The library's own parser is not used: it has limits of its own, and where it refuses a request it says nothing.

    Raises:
        InvalidHandshake: it is not valid.
    """
    names = [name for name, _ in headers]
    if names.count(b"host") != 1:
        raise InvalidHandshake("a WebSocket's handshake has one Host header")
    lengths = [value for name, value in headers if name == b"content-length"]
    if b"transfer-encoding" in names or any(length.strip(b"0") for length in lengths):
        raise InvalidHandshake("a WebSocket's handshake has no body")
    try:
        request = Request(target.decode("ascii"), _taken_up(headers))
        ServerProtocol().process_request(request)
    except Rejected as exc:
        raise InvalidHandshake(
            "the headers are not those of a WebSocket's handshake (RFC 6455, 4.2.1)"
        ) from exc
    return request


def _values(headers: RawHeaders, wanted: bytes) -> Iterable[list[bytes]]:
    return (value.split(b",") for name, value in headers if name == wanted)


def _taken_up(headers: RawHeaders) -> Headers:
    """The headers, with the one protocol of those in `Upgrade` that is taken up."""
    taken = Headers(Upgrade="websocket")
    for name, value in headers:
        if name != b"upgrade":
            taken[name.decode("ascii")] = value.decode("latin-1").strip(" \t")
    return taken
