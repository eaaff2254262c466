"""What settings are made of: values as the environment has them, checked."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from app.addresses import EngineUrl, engine_name, host_name


def _listed(value: object) -> object:
    """A list from what an environment variable holds: JSON, or values separated by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return tuple(cast("list[object]", _from_json(value)))
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _from_json(value: object) -> object:
    """What JSON holds; raises ValueError for other text, and for JSON that is too deep to be read."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError as exc:
        raise ValueError("JSON that is nested too deeply") from exc


def _any_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _sendable(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("a key is one or more printable ASCII characters without spaces")
    if re.fullmatch(r"\$\{[^}]*\}", key.get_secret_value()):
        raise ValueError("a key is a ${…} in whose place nothing was put")
    return key


def _closed_if_set(keys: tuple[SecretStr, ...] | None) -> tuple[SecretStr, ...] | None:
    if keys == ():
        raise ValueError("holds no key: leave it unset for an open service")
    return keys


def _different_engines(urls: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if urls == ():
        raise ValueError("holds no URL: leave it unset for the embedded engine")
    if urls is not None and len({engine_name(url) for url in urls}) != len(urls):
        raise ValueError("names an engine twice")
    return urls


Dtype = Literal["auto", "float32", "bfloat16", "float16"]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_any_case)]
ApiKey = Annotated[SecretStr, AfterValidator(_sendable)]
Host = Annotated[str, AfterValidator(host_name)]
# As browsers send it: without a slash at its end. An extension's or a desktop application's has a scheme of its own.
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^\s/]+)$")]
HostName = Annotated[
    str, Field(pattern=r"^(\*|\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\],*]+)$")
]  # without a port
Seconds = Annotated[float, Field(gt=0, le=30)]

# NoDecode: pydantic-settings leaves the text alone, which it would otherwise take for JSON.
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_listed)]
HostNames = Annotated[tuple[HostName, ...], NoDecode, BeforeValidator(_listed)]
ApiKeys = Annotated[tuple[ApiKey, ...] | None, NoDecode, BeforeValidator(_listed)]
CallerKeys = Annotated[ApiKeys, AfterValidator(_closed_if_set)]
EngineUrls = Annotated[
    tuple[EngineUrl, ...] | None,
    NoDecode,
    BeforeValidator(_listed),
    AfterValidator(_different_engines),
]
GraphLengths = Annotated[tuple[Seconds, ...] | None, NoDecode, BeforeValidator(_from_json)]
