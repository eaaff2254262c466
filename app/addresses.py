"""Where the engines are: what TTS_API and TTS_API_KEY may hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

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


def _http_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s,/][^\s,]*", url):
        raise ValueError("must be http or https URLs, separated by commas")
    engine_name(url)
    return url


EngineUrl = Annotated[str, AfterValidator(_http_url)]


def addresses(urls: Sequence[str], keys: Sequence[SecretStr]) -> tuple[Address, ...]:
    """Every engine with its key: one for all, one for each, or none.

    Raises:
        ValueError: another number of keys.
    """
    if len(keys) not in (0, 1, len(urls)):
        raise ValueError(f"{len(keys)} keys for {len(urls)} URLs: give one for all, or one for each")
    each = list(keys) if len(keys) == len(urls) else (list(keys) or [None]) * len(urls)
    return tuple(Address(url, engine_name(url), key) for url, key in zip(urls, each, strict=True))
