"""Which pages of other origins may use the service from a browser."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

# What a page may read of an answer beside the few headers that browsers always show.
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
    """Let pages of these origins in (`*`: of all). Without credentials: a key is a header, not a cookie."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # OpenAI's Node SDK adds x-stainless-… of its own
            expose_headers=EXPOSED,
        )
