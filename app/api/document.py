"""The OpenAPI document: every refusal in our shape, and which routes need a key."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI

from app.api.keys import KEYED
from app.api.schemas import ErrorAnswer

# For every route; a class of statuses in the place of FastAPI's own 422, which this service never answers.
REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer, "description": "The request cannot be served as it is."},
    "5XX": {
        "model": ErrorAnswer,
        "description": "The service, or the engine behind it, has failed.",
    },
}


def document_keys(app: FastAPI) -> None:
    """Say which routes need a key, so that the page at /docs can be given one."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        paths = cast("dict[str, dict[str, dict[str, object]]]", document["paths"])
        for operation in [
            each for path, found in paths.items() if KEYED in path for each in found.values()
        ]:
            operation["security"] = [{"key": []}]
        return document

    app.openapi = described
