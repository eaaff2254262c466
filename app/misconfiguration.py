"""Configuration errors as one readable line."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

from app.misspelt import EnvFileError
from app.profiles import ProfileError
from app.settings import first_mistake
from app.speech.lexicon import LexiconError

MISCONFIGURATIONS: Final = (ValidationError, EnvFileError, ProfileError, LexiconError)


def line_of(exc: Exception) -> str:
    """Return the message of a configuration error, without values, because some are keys."""
    return first_mistake(exc) if isinstance(exc, ValidationError) else str(exc)
