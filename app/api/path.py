"""The path of a request as the routes have it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast


def route_path(scope: Mapping[str, Any]) -> str:
    """The path without the prefix that a server, a mount or Ray has put before it (ASGI's `root_path`)."""
    path, prefix = cast("str", scope["path"]), cast("str", scope.get("root_path", ""))
    inner = path.removeprefix(prefix)
    return inner if inner.startswith("/") else path


def is_at(scope: Mapping[str, Any], paths: Collection[str]) -> bool:
    """Whether it is an HTTP request to one of these routes."""
    return scope["type"] == "http" and route_path(scope) in paths
