"""The log: lines of text, or of JSON, of this service and of uvicorn alike."""

from __future__ import annotations

import logging
from typing import Literal

from pythonjsonlogger.orjson import OrjsonFormatter

LogFormat = Literal["text", "json"]


def configure(level: str, form: LogFormat) -> None:
    """Send what is logged to standard error, every logger's in one form."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _formatter(form: LogFormat) -> logging.Formatter:
    if form == "text":
        return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    return OrjsonFormatter(
        ["levelname", "name", "message"],
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )
