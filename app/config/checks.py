"""Configuration errors as one readable line."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from app.config.settings import first_validation_error
from app.errors import ConfigError

CONFIG_ERRORS: Final = (ValidationError, ConfigError)


def config_error_message(exc: Exception) -> str:
    """Return the message of a configuration error, without values, because some are keys."""
    return first_validation_error(exc) if isinstance(exc, ValidationError) else str(exc)
