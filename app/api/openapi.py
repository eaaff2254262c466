"""The OpenAPI document: the format of all errors, and the routes that need an API key."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI

from app.api.middleware.api_keys import PROTECTED_PATH
from app.api.schemas import ErrorAnswer

# For every route. Classes of statuses replace FastAPI's own 422, which this service never sends.
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "model": ErrorAnswer,
        "description": "The request was rejected; `error.code` is the reason.",
    },
    "5XX": {
        "model": ErrorAnswer,
        "description": "The service or its engine failed or is not ready.",
    },
}


def document_keys(app: FastAPI) -> None:
    """Mark the routes that need an API key, so that the page at /docs can send one."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        paths = cast("dict[str, dict[str, dict[str, object]]]", document["paths"])
        for path, operations in paths.items():
            if PROTECTED_PATH in path:
                for operation in operations.values():
                    operation["security"] = [{"key": []}]
        return document

    app.openapi = described
