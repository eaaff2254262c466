"""Request paths as the routes define them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast


def route_path(scope: Mapping[str, Any]) -> str:
    """Return the path without the prefix of a server, a mount or Ray (ASGI's `root_path`)."""
    path, prefix = cast("str", scope["path"]), cast("str", scope.get("root_path", ""))
    inner = path.removeprefix(prefix)
    return inner if inner.startswith("/") else path


def path_is_one_of(scope: Mapping[str, Any], paths: Collection[str]) -> bool:
    """True for an HTTP request to one of these routes."""
    return scope["type"] == "http" and route_path(scope) in paths
