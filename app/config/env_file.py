"""Checks for misspelt settings and for `.env` lines that would be ignored.

A lost API_KEYS line would leave the service open.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream
from dotenv.variables import Variable, parse_variables

from app.errors import ConfigError

LIKENESS = 0.85  # least difflib ratio (0 to 1) at which a name counts as misspelt
OTHERS = ("OTEL_",)  # prefixes of names that OpenTelemetry reads itself
# Settings of earlier versions, each with the rest of the line that is logged.
REMOVED = {
    "EMBEDDED_ENGINE": "is no longer a setting and has no effect. The embedded engine always uses "
    "its built-in one-pass model. To use the language model, serve it with vLLM "
    "(training/README.md) "
    "and set ENGINE_URLS and MODEL_PROFILE=lark",
}
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=", re.MULTILINE)

_REFERENCE = re.compile(r"\$\{[^}]*\}")


class EnvFileError(ConfigError):
    """Invalid `.env` file; the message is one line with the file and the line, without values."""


def similar_names(names: Iterable[str], settings: Iterable[str]) -> dict[str, str]:
    """Map the unknown names to the settings that they resemble, ignoring case."""
    known = {setting.upper() for setting in settings}
    others = sorted({name.upper() for name in names} - known)
    close = {name: difflib.get_close_matches(name, known, n=1, cutoff=LIKENESS) for name in others}
    return {
        name: found[0] for name, found in close.items() if found and not name.startswith(OTHERS)
    }


def removed_settings(env_file: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return a line for each removed setting that the environment or the file sets."""
    values = {**(dotenv_values(env_file) if env_file.is_file() else {}), **environment}
    given = {name.upper() for name, value in values.items() if value}
    return [f"{name} {notice}" for name, notice in REMOVED.items() if name in given]


def environment_names(env_file: Path, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Return all names in the environment and in the file, if it exists."""
    return {*environment, *(dotenv_values(env_file) if env_file.is_file() else ())}


def check_env_file(
    env_file: Path, settings: Iterable[str], environment: Mapping[str, str] = os.environ
) -> None:
    """Reject a file in which a line of one of the `settings` would be ignored silently.

    python-dotenv skips lines that it cannot parse, and replaces an unset variable by nothing. An
    empty value is valid and means that the setting is unset.

    Raises:
        EnvFileError: the file cannot be read, is not UTF-8, or has such a line.
    """
    lines = _Lines(settings, environment)
    for binding in parse_stream(io.StringIO(_text_of(env_file), newline=None)):
        if fault := lines.fault(binding):
            raise EnvFileError(f"{env_file}, line {_line_of(binding)}: {fault}")


class _Lines:
    """Checker of a file's lines, in order; it keeps the values of the variables set so far."""

    def __init__(self, settings: Iterable[str], environment: Mapping[str, str]) -> None:
        self._settings = {setting.upper() for setting in settings}
        self._values = dict(environment)
        self._written: set[str] = set()

    def fault(self, binding: Binding) -> str | None:
        """Check the next line; return the reason why a setting would be lost, or None."""
        if binding.error:
            return "not NAME=VALUE, or a quote is not closed"
        key, value = binding.key or "", binding.value or ""
        behind = {name.upper() for name in _ASSIGNMENT.findall(value.partition("\n")[2])}
        if swallowed := sorted(behind & self._settings):
            return f"a quote is not closed before {swallowed[0]}"
        is_setting = key.upper() in self._settings
        fault = self._fault_of(key.upper(), binding.value) if is_setting else None
        if key:
            resolved = (atom.resolve(self._values) for atom in parse_variables(value))
            self._values[key] = "".join(resolved)
        return fault

    def _fault_of(self, name: str, value: str | None) -> str | None:
        """Return the fault of a setting's value: missing, emptied later, or an unset variable."""
        if value is None:
            return f"{name} has no value; write {name}=VALUE"
        if not value:
            return f"{name} is set again, to an empty value" if name in self._written else None
        self._written.add(name)
        for atom in parse_variables(value):
            if isinstance(atom, Variable):
                if atom.default is None and not self._values.get(atom.name):
                    return f"{name} refers to a variable that is unset or empty"
            elif _REFERENCE.search(atom.resolve({})):
                return f"{name} has an invalid ${{…}}; write ${{NAME}} or ${{NAME:-default}}"
        return None


def _text_of(env_file: Path) -> str:
    """Read the file; return an empty text if it is missing or not a regular file.

    A pipe can be read only once, so it is left to pydantic-settings.
    """
    try:
        mode = env_file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise EnvFileError(f"{env_file}: a folder, not a file")
        data = env_file.read_bytes() if stat.S_ISREG(mode) else b""
    except FileNotFoundError as exc:
        if env_file.is_symlink():
            raise EnvFileError(f"{env_file}: a link to a missing file") from exc
        return ""
    except OSError as exc:
        raise EnvFileError(f"{env_file}: cannot be read: {exc.strerror}") from exc
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        line = _line_at(data, exc.start)
        raise EnvFileError(f"{env_file}, line {line}: not valid UTF-8") from exc
    if b"\0" in data:
        line = _line_at(data, data.index(0))
        raise EnvFileError(f"{env_file}, line {line}: not valid UTF-8 text: a NUL byte")
    return text


def _line_at(data: bytes, place: int) -> int:
    return data.count(b"\n", 0, place) + 1


def _line_of(binding: Binding) -> int:
    """Return the line on which a binding begins, after the empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
