"""The environment of a container by compose's rules: later files win, `environment` over all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
NOBODYS: Mapping[str, str] = {}


def environment_of(
    file: str, settings: Mapping[str, str], shell: Mapping[str, str] = NOBODYS
) -> dict[str, str]:
    """Return the environment of a compose file's one service.

    `settings` are those of the file that ENV_FILE names, `shell` those of the shell and .env.
    """
    (service,) = yaml.safe_load((ROOT / file).read_text())["services"].values()
    given: dict[str, str] = {}
    for place in service.get("env_file", ()):
        given |= settings if "ENV_FILE" in place["path"] else variables(ROOT / place["path"])
    given |= {name: str(value) for name, value in service.get("environment", {}).items()}
    return {name: interpolated(value, shell) for name, value in given.items()}


def variables(path: Path) -> dict[str, str]:
    """The lines NAME=VALUE of a file."""
    return dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))


def interpolated(value: str, shell: Mapping[str, str]) -> str:
    """Return the value with each ${NAME:-default} replaced, from the innermost outwards."""
    pattern = r"\$\{(\w+):-([^${}]*)\}"
    while re.search(pattern, value):
        value = re.sub(pattern, lambda found: shell.get(found[1]) or found[2], value)
    return value
