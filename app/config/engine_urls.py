"""Addresses and keys of the engines, from ENGINE_URLS and TTS_API_KEY."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class EngineEndpoint(NamedTuple):
    """An engine's URL, its name in logs and metrics (without secrets), and its key."""

    url: str
    name: str
    key: SecretStr | None


def endpoint_label(url: str) -> str:
    """Return `host:port` and the path before /v1, without the user and the query of the URL.

    Raises:
        ValueError: the port is not valid.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    port = "" if parts.port else f":{_DEFAULT_PORTS[parts.scheme]}"
    return host.lower() + port + re.sub(r"(/v1)?(/completions)?/*$", "", parts.path)


def host_name(host: str) -> str:
    """Validate and return a host name or an IP address (IPv6 without brackets).

    Raises:
        ValueError: a label is empty, longer than 63 characters, or has characters that the
            system's resolver does not accept.
    """
    try:
        ip_address(host)
    except ValueError:
        if len(host) > 253 or not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
            raise ValueError(
                "a host name is labels of 1 to 63 letters, digits, hyphens or underscores, "
                "separated by dots"
            ) from None
    return host


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s,/][^\s,]*", url):
        raise ValueError("must be http or https URLs, separated by commas")
    # Checked before urlsplit, whose error message would contain the password.
    authority = re.split(r"[/?#]", url, maxsplit=3)[2]
    if not authority.isascii():
        raise ValueError("a host name must be ASCII; write an international one as xn--…")
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    bad_user = "@" in user or (at and not user)
    if bad_user or not re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]+)(:\d{1,5})?", place):
        raise ValueError("must be http or https URLs with a host, such as http://HOST:PORT")
    if place.startswith("["):
        IPv6Address(parts.hostname)
    else:
        host_name(parts.hostname or "")
    if parts.port == 0:
        raise ValueError("a port must be between 1 and 65535")
    return url


EngineUrl = Annotated[str, AfterValidator(_http_url)]


def parse_endpoints(urls: Sequence[str], keys: Sequence[SecretStr]) -> tuple[EngineEndpoint, ...]:
    """Pair the URLs of the engines with their keys: one key for all, one for each, or none.

    Raises:
        ValueError: the number of keys does not fit.
    """
    if len(keys) not in (0, 1, len(urls)):
        raise ValueError(f"{len(keys)} keys for {len(urls)} URLs; give one key, or one for each")
    each = list(keys) if len(keys) == len(urls) else (list(keys) or [None]) * len(urls)
    return tuple(
        EngineEndpoint(url, endpoint_label(url), key) for url, key in zip(urls, each, strict=True)
    )
