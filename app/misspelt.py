"""Names that are nearly a setting's: whoever writes API_KEY for API_KEYS would leave the service open."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values

LIKENESS = 0.85  # of 1, from which a name is taken for a misspelt one (difflib's ratio)
OTHERS = ("OTEL_",)  # begin names that OpenTelemetry reads itself


def misspelt(names: Iterable[str], settings: Iterable[str]) -> dict[str, str]:
    """Names that are no setting's, each with the setting that it resembles; letters' case does not matter."""
    known = {setting.upper() for setting in settings}
    others = sorted({name.upper() for name in names} - known)
    close = {name: difflib.get_close_matches(name, known, n=1, cutoff=LIKENESS) for name in others}
    return {name: found[0] for name, found in close.items() if found and not name.startswith(OTHERS)}


def names_given(env_file: Path, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Every name in the environment and in the file, where there is one."""
    return {*environment, *(dotenv_values(env_file) if env_file.is_file() else ())}
