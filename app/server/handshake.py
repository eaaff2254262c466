"""WebSocket handshakes, read from parsed HTTP headers."""

from __future__ import annotations

from collections.abc import Iterable

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake as Rejected
from websockets.http11 import Request
from websockets.server import ServerProtocol

from app.errors import InvalidHandshake

RawHeaders = list[tuple[bytes, bytes]]  # names in lower case


def is_websocket_upgrade(headers: RawHeaders) -> bool:
    """Return True if the protocols in `Upgrade` include websocket."""
    return any(
        token.strip().lower() == b"websocket"
        for value in _values(headers, b"upgrade")
        for token in value
    )


def read_handshake(target: bytes, headers: RawHeaders) -> Request:
    """Check a handshake by RFC 6455, 4.2.1, and return it as a Request of the websockets library.

    The library's own parser is not used, because it has other limits and rejects a request
    without a reason.

    Raises:
        InvalidHandshake: the handshake is not valid.
    """
    names = [name for name, _ in headers]
    if names.count(b"host") != 1:
        raise InvalidHandshake("a WebSocket handshake needs exactly one Host header")
    lengths = [value for name, value in headers if name == b"content-length"]
    if b"transfer-encoding" in names or any(length.strip(b"0") for length in lengths):
        raise InvalidHandshake("a WebSocket handshake must not have a body")
    try:
        request = Request(target.decode("ascii"), _deduplicated(headers))
        ServerProtocol().process_request(request)
    except Rejected as exc:
        raise InvalidHandshake(
            "the headers are not a valid WebSocket handshake (RFC 6455, 4.2.1)"
        ) from exc
    return request


def _values(headers: RawHeaders, header: bytes) -> Iterable[list[bytes]]:
    return (value.split(b",") for name, value in headers if name == header)


def _deduplicated(headers: RawHeaders) -> Headers:
    """Convert the headers, with websocket as the only protocol in `Upgrade`."""
    kept = Headers(Upgrade="websocket")
    for name, value in headers:
        if name != b"upgrade":
            kept[name.decode("ascii")] = value.decode("latin-1").strip(" \t")
    return kept
