"""CORS: the origins whose pages may use the service from a browser."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

# Response headers that pages may read, beside the few that browsers always expose.
EXPOSED = (
    "x-request-id",
    "x-audio-sample-rate",
    "x-audio-channels",
    "x-audio-bit-depth",
    "retry-after",
    "x-finish-reason",
    "x-should-retry",
)


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Allow pages of these origins to use the service (`*`: all origins).

    Credentials are not allowed, because an API key is sent in a header and not in a cookie.
    """
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's Node SDK sends x-stainless-… headers
            expose_headers=EXPOSED,
        )
