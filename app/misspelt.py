"""Names and lines of `.env` that would not be read as they are meant: with some of them the service would be open."""

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

LIKENESS = 0.85  # of 1, from which a name is taken for a misspelt one (difflib's ratio)
OTHERS = ("OTEL_",)  # begin names that OpenTelemetry reads itself
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=", re.MULTILINE)

_REFERENCE = re.compile(r"\$\{[^}]*\}")


class EnvFileError(ValueError):
    """A `.env` file that cannot be read; the message is one line that names the file and the line, but no value."""


def misspelt(names: Iterable[str], settings: Iterable[str]) -> dict[str, str]:
    """Names that are no setting's, each with the setting that it resembles; letters' case does not matter."""
    known = {setting.upper() for setting in settings}
    others = sorted({name.upper() for name in names} - known)
    close = {name: difflib.get_close_matches(name, known, n=1, cutoff=LIKENESS) for name in others}
    return {
        name: found[0] for name, found in close.items() if found and not name.startswith(OTHERS)
    }


def names_given(env_file: Path, environment: Mapping[str, str] = os.environ) -> set[str]:
    """Every name in the environment and in the file, where there is one."""
    return {*environment, *(dotenv_values(env_file) if env_file.is_file() else ())}


def check_env_file(
    env_file: Path, settings: Iterable[str], environment: Mapping[str, str] = os.environ
) -> None:
    """Refuse a file in which a setting would be lost without a word; `settings` are their names.

    python-dotenv leaves out lines that it cannot parse, and puts nothing in the place of a variable that is not set.
    An empty value is no fault: it means that the setting is not set.

    Raises:
        EnvFileError: the file cannot be read, is not text in UTF-8, or has such a line.
    """
    lines = _Lines(settings, environment)
    for binding in parse_stream(io.StringIO(_text_of(env_file), newline=None)):
        if fault := lines.fault(binding):
            raise EnvFileError(f"{env_file}, line {_line_of(binding)}: {fault}")


class _Lines:
    """The lines of a file, one after another, with the values that the variables in them have by then."""

    def __init__(self, settings: Iterable[str], environment: Mapping[str, str]) -> None:
        self._settings = {setting.upper() for setting in settings}
        self._values = dict(environment)
        self._written: set[str] = set()

    def fault(self, binding: Binding) -> str | None:
        """Take the next line; return why a setting would be lost with it, or None."""
        if binding.error:
            return "cannot be read: a quote that does not close, or no NAME=VALUE"
        key, value = binding.key or "", binding.value or ""
        behind = {name.upper() for name in _ASSIGNMENT.findall(value.partition("\n")[2])}
        if swallowed := sorted(behind & self._settings):
            return f"a quote that closes only behind {swallowed[0]}"
        fault = (
            self._fault_of(key.upper(), binding.value) if key.upper() in self._settings else None
        )
        if key:
            self._values[key] = "".join(
                atom.resolve(self._values) for atom in parse_variables(value)
            )
        return fault

    def _fault_of(self, name: str, value: str | None) -> str | None:
        """A setting without a value, one that is emptied again, or one that is made of nothing."""
        if value is None:
            return f"{name} has no value: write {name}=VALUE"
        if not value:
            return f"{name} is given again, and empty" if name in self._written else None
        self._written.add(name)
        for atom in parse_variables(value):
            if isinstance(atom, Variable):
                if atom.default is None and not self._values.get(atom.name):
                    return f"{name} refers to a variable that is not set, or empty"
            elif _REFERENCE.search(atom.resolve({})):
                return f"{name} holds a ${{…}} that cannot be read: write ${{NAME}} or ${{NAME:-default}}"
        return None


def _text_of(env_file: Path) -> str:
    """The text of the file; empty where there is none, or where it can be read only once, as from a pipe."""
    try:
        mode = env_file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise EnvFileError(f"{env_file}: a folder, not a file")
        data = env_file.read_bytes() if stat.S_ISREG(mode) else b""
    except FileNotFoundError as exc:
        if env_file.is_symlink():
            raise EnvFileError(f"{env_file}: a link to a file that is not there") from exc
        return ""
    except OSError as exc:
        raise EnvFileError(f"{env_file}: cannot be read: {exc.strerror}") from exc
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise EnvFileError(
            f"{env_file}, line {_line_at(data, exc.start)}: not text in UTF-8"
        ) from exc
    if b"\0" in data:
        raise EnvFileError(
            f"{env_file}, line {_line_at(data, data.index(0))}: not text in UTF-8: it holds a NUL"
        )
    return text


def _line_at(data: bytes, place: int) -> int:
    return data.count(b"\n", 0, place) + 1


def _line_of(binding: Binding) -> int:
    """The line on which a binding begins, behind the empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
