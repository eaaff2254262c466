"""Reject browser requests from pages of other origins, and requests for foreign host names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.errors import count_rejection, error_response
from app.api.paths import path_is_one_of
from app.errors import HostNotAllowed, OriginNotAllowed, RequestError

OPEN_PATHS = ("/health", "/ready")  # allowed for any host name, and of no value to a foreign page
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# Names with these suffixes are not in the public DNS, so an attacker cannot bind one to an address
# (RFC 6761, 6762, 8375, ICANN).
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc", ".test")
FORWARDED = (  # headers that proxies add
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)


@dataclass(frozen=True, slots=True)
class Authority:
    """Host in lower case and port of a URL. `port` is None if the URL states none."""

    name: str
    port: int | None


class OriginCheck:
    """Middleware that rejects requests of foreign pages before their body is read.

    Two rules:

    * A request that changes state, or a WebSocket, must come from the service's own pages, from
      pages of CORS_ORIGINS, or from a program other than a browser, which sends no `Origin`.
    * A browser's request must name a host of this service. In a DNS rebinding attack the host name
      of the attacker's page resolves to this machine, so that its origin equals the service's. A
      public name is therefore rejected if the connection came over loopback without a proxy. With
      ALLOWED_HOSTS, every public name that is not in the list is rejected.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], own: str, origins: Collection[str]
    ) -> None:
        """`hosts`: ALLOWED_HOSTS; `own`: HOST; `origins`: CORS_ORIGINS."""
        self._app = app
        self._hosts = frozenset(name.lower().strip("[]").rstrip(".") for name in hosts)
        self._own, self._origins = own.lower(), frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with 403."""
        if scope["type"] == "lifespan" or path_is_one_of(scope, OPEN_PATHS):
            await self._app(scope, receive, send)
        elif error := self._find_error(scope):
            count_rejection(scope, error.code)
            await error_response(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _find_error(self, scope: Scope) -> RequestError | None:
        headers = Headers(scope=scope)
        is_read = scope["type"] == "http" and scope["method"] in READ_METHODS
        from_browser = "origin" in headers or "sec-fetch-site" in headers
        if (is_read or from_browser) and not self._is_own_host(scope, headers):
            return HostNotAllowed("this host name is not allowed (ALLOWED_HOSTS)")
        if not is_read and not self._is_allowed_origin(scope, headers):
            return OriginNotAllowed("pages of this origin are not allowed (CORS_ORIGINS)")
        return None

    def _is_allowed_origin(self, scope: Scope, headers: Headers) -> bool:
        """True if the request comes from no page, from our page or from a page of CORS_ORIGINS."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if "*" in self._origins or origin in self._origins:
            return True
        if origin is None:
            return site not in ("cross-site", "same-site")
        # A page cannot set Sec-Fetch-Site, which the browser adds. It cannot send X-Forwarded-Host
        # to another origin unless CORS allows it.
        direct = _port_of(scope) in DEFAULT_PORTS.values()
        return site == "same-origin" or any(
            _is_same(origin, headers.get(name, ""), exact=direct)
            for name in ("host", "x-forwarded-host")
        )

    def _is_own_host(self, scope: Scope, headers: Headers) -> bool:
        """True if no attacker can have bound the name in Host to the address of this machine."""
        host = _authority(headers.get("host", ""))
        if "*" in self._hosts or not headers.get("host"):
            return True
        if host is None:
            return False
        if host.name in self._hosts or host.name == self._own or _is_private(host.name):
            return True
        if self._hosts:
            return False
        if not _is_loopback(_address_of(scope)):
            return True
        other_port = (host.port or DEFAULT_PORTS["http"]) != _port_of(scope)
        # Such a header alone proves no proxy, because a page may add it itself.
        return other_port and any(name in headers for name in FORWARDED)


def _address_of(scope: Scope) -> str:
    """Return the server's address of the connection; empty for a Unix socket."""
    return str((scope.get("server") or ("", None))[0])


def _port_of(scope: Scope) -> int | None:
    return (scope.get("server") or ("", None))[1]


def _is_same(origin: str, host: str, *, exact: bool) -> bool:
    """True if an origin equals that of a Host header.

    The Host may lack its port, because some proxies drop it. With `exact`, it may lack only the
    default port of http or https.
    """
    try:
        scheme = urlsplit(origin).scheme
    except ValueError:
        return False
    page = _authority(origin.partition("://")[2])
    requested = _authority(host.rpartition(",")[2].strip())
    if page is None or requested is None or page.name != requested.name:
        return False
    port = page.port or DEFAULT_PORTS.get(scheme)
    if requested.port is None:
        return not exact or port is None or port in DEFAULT_PORTS.values()
    return port == requested.port


def _authority(text: str) -> Authority | None:
    """Parse the name and port of a Host header or an origin. None if it is invalid."""
    try:
        parts = urlsplit(f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != text or "@" in text:
        return None
    return Authority(name.rstrip("."), port)


def _is_private(name: str) -> bool:
    """True for an IP address or a name that is not in the public DNS."""
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
