"""Types of the settings: parsing and validation of environment variables."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from app.config.engine_urls import EngineUrl, endpoint_label, host_name


def _listed(value: object) -> object:
    """Parse a list: JSON, or values separated by commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return tuple(cast("list[object]", _from_json(value)))
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _from_json(value: object) -> object:
    """Parse JSON; raises ValueError for other text and for JSON that is nested too deeply."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError as exc:
        raise ValueError("the JSON is nested too deeply") from exc


def _any_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _sendable(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", key.get_secret_value()):
        raise ValueError("a key must be printable ASCII characters without spaces")
    if re.fullmatch(r"\$\{[^}]*\}", key.get_secret_value()):
        raise ValueError("a key is a ${…} that was not replaced by a value")
    return key


def _closed_if_set(keys: tuple[SecretStr, ...] | None) -> tuple[SecretStr, ...] | None:
    if keys == ():
        raise ValueError("has no key; leave it unset for a service without authentication")
    return keys


def _different_engines(urls: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if urls == ():
        raise ValueError("has no URL; leave it unset for the embedded engine")
    if urls is not None and len({endpoint_label(url) for url in urls}) != len(urls):
        raise ValueError("has the same engine twice")
    return urls


Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]  # of a response
Encoding = Literal["pcm_s16le", "pcm_mulaw", "pcm_alaw"]  # of the samples in wav and pcm
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_any_case)]
ApiKey = Annotated[SecretStr, AfterValidator(_sendable)]
Host = Annotated[str, AfterValidator(host_name)]
# An origin as browsers send it, without a slash at its end. Extensions and desktop applications
# have schemes of their own.
Origin = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[^\s/]+)$")]
# A host name or an address, without a port.
HostName = Annotated[str, Field(pattern=r"^(\*|\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\],*]+)$")]
Seconds = Annotated[float, Field(gt=0, le=30)]

# NoDecode keeps the text, which pydantic-settings would otherwise parse as JSON.
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
