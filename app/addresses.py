"""Where the engines are: what TTS_API and TTS_API_KEY may hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """An engine's URL, its name in logs and metrics (nothing secret), and its key."""

    url: str
    name: str
    key: SecretStr | None


def engine_name(url: str) -> str:
    """`host:port`, and the path before /v1 where there is one; never the user or the query of a URL.

    Raises:
        ValueError: the URL's port is no port.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    port = "" if parts.port else f":{_DEFAULT_PORTS[parts.scheme]}"
    return host.lower() + port + re.sub(r"(/v1)?(/completions)?/*$", "", parts.path)


def host_name(host: str) -> str:
    """A name or an IP address (of version 6 without brackets) that can be looked up, as it is.

    Raises:
        ValueError: a label is empty, longer than 63 or of other characters than the system's resolver takes.
    """
    try:
        ip_address(host)
    except ValueError:
        if len(host) > 253 or not all(map(_LABEL.fullmatch, host.removesuffix(".").split("."))):
            raise ValueError(
                "a host name is made of labels of 1 to 63 letters, digits, hyphens and underscores, with points between"
            ) from None
    return host


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s,/][^\s,]*", url):
        raise ValueError("must be http or https URLs, separated by commas")
    if not re.split(r"[/?#]", url, maxsplit=3)[
        2
    ].isascii():  # before urlsplit, whose error would tell the password
        raise ValueError("a host name is ASCII: write an international one as xn--…")
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    if (
        "@" in user
        or (at and not user)
        or not re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]:]+)(:\d{1,5})?", place)
    ):
        raise ValueError(
            "must be http or https URLs with a host, and a port if any: http://HOST:PORT"
        )
    if place.startswith("["):
        IPv6Address(parts.hostname)
    else:
        host_name(parts.hostname or "")
    if parts.port == 0:
        raise ValueError("a port is 1 to 65535")
    return url


EngineUrl = Annotated[str, AfterValidator(_http_url)]


def addresses(urls: Sequence[str], keys: Sequence[SecretStr]) -> tuple[Address, ...]:
    """Every engine with its key: one for all, one for each, or none.

    Raises:
        ValueError: another number of keys.
    """
    if len(keys) not in (0, 1, len(urls)):
        raise ValueError(
            f"{len(keys)} keys for {len(urls)} URLs: give one for all, or one for each"
        )
    each = list(keys) if len(keys) == len(urls) else (list(keys) or [None]) * len(urls)
    return tuple(Address(url, engine_name(url), key) for url, key in zip(urls, each, strict=True))
