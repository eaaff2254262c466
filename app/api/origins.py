"""Requests of browsers: pages of other origins are refused, and names that DNS may have bound to this machine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.failure import failure_response, refused
from app.api.path import is_at
from app.request_errors import HostNotAllowed, OriginNotAllowed, RequestError

OPEN_PATHS = ("/health", "/ready")  # asked by any name, and of no interest to a page
READING = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# Names below these are not in the public DNS, so no stranger can bind one to an address (RFC 6761, 6762, 8375, ICANN).
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc", ".test")
FORWARDED = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)


@dataclass(frozen=True, slots=True)
class Authority:
    """A host as a URL names it, in lower case; `port` is None where the URL leaves it to its scheme."""

    name: str
    port: int | None


class OriginCheck:
    """Refuses requests that a page of another origin makes, before their body is read or a WebSocket is accepted.

    Two rules:

    * A request that changes something, and a WebSocket, may come from the service's own pages, from those of
      CORS_ORIGINS, and from programs that are no browsers, which send no `Origin`.
    * A request of a browser names a host that is this service's. DNS rebinding gives a page's own name the
      address of this machine: then the page's origin is the service's by its name. A public name is therefore
      refused where the connection has come over loopback and no proxy has passed it on. With ALLOWED_HOSTS
      every public name that it does not list is refused.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], own: str, origins: Collection[str]
    ) -> None:
        """`hosts`: ALLOWED_HOSTS; `own`: HOST; `origins`: CORS_ORIGINS."""
        self._app = app
        self._hosts = frozenset(name.lower().strip("[]").rstrip(".") for name in hosts)
        self._own, self._origins = own.lower(), frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 403."""
        if scope["type"] == "lifespan" or is_at(scope, OPEN_PATHS):
            await self._app(scope, receive, send)
        elif error := self._fault(scope):
            refused(scope, error.code)
            await failure_response(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _fault(self, scope: Scope) -> RequestError | None:
        headers = Headers(scope=scope)
        reads = scope["type"] == "http" and scope["method"] in READING
        is_browsers = "origin" in headers or "sec-fetch-site" in headers
        if (reads or is_browsers) and not self._is_ours(scope, headers):
            return HostNotAllowed("this host name is not allowed (ALLOWED_HOSTS)")
        if not reads and not self._may_change(scope, headers):
            return OriginNotAllowed("pages of this origin are not allowed (CORS_ORIGINS)")
        return None

    def _may_change(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request that changes something comes from no page, from ours, or from one of CORS_ORIGINS."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if "*" in self._origins or origin in self._origins:
            return True
        if origin is None:
            return site not in ("cross-site", "same-site")
        # A page cannot write the header that a browser adds; nor, without our leave, another origin's X-Forwarded-Host.
        direct = _port_of(scope) in DEFAULT_PORTS.values()
        return site == "same-origin" or any(
            _is_same(origin, headers.get(name, ""), exact=direct)
            for name in ("host", "x-forwarded-host")
        )

    def _is_ours(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request's Host is a name that no stranger can have bound to this machine's address."""
        asked = _authority(headers.get("host", ""))
        if "*" in self._hosts or not headers.get("host"):
            return True
        if asked is None:
            return False
        if asked.name in self._hosts or asked.name == self._own or _is_private(asked.name):
            return True
        if self._hosts:
            return False
        return not _is_loopback(_address_of(scope)) or (
            (asked.port or DEFAULT_PORTS["http"]) != _port_of(scope)
            and any(name in headers for name in FORWARDED)  # a page may add such headers itself
        )


def _address_of(scope: Scope) -> str:
    """The address that the connection has come to; empty for a Unix socket."""
    return str((scope.get("server") or ("", None))[0])


def _port_of(scope: Scope) -> int | None:
    return (scope.get("server") or ("", None))[1]


def _is_same(origin: str, host: str, *, exact: bool) -> bool:
    """Whether an origin is that of a Host. A proxy may have left the Host's port out, unless `exact`."""
    try:
        scheme = urlsplit(origin).scheme
    except ValueError:
        return False
    own, asked = _authority(origin.partition("://")[2]), _authority(host.rpartition(",")[2].strip())
    if own is None or asked is None or own.name != asked.name:
        return False
    port = own.port or DEFAULT_PORTS.get(scheme)
    return port == asked.port or (
        asked.port is None and (not exact or port in DEFAULT_PORTS.values())
    )


def _authority(written: str) -> Authority | None:
    """The name and port of a Host or an origin; None for one that is neither."""
    try:
        parts = urlsplit(f"//{written}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != written or "@" in written:
        return None
    return Authority(name.rstrip("."), port)


def _is_private(name: str) -> bool:
    """Whether it is an address, or a name that is not in the public DNS."""
    return "." not in name or name.endswith(PRIVATE_SUFFIXES) or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
