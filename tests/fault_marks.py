"""The tests in their sources: their names, and their marks of rows of docs/faults.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@cache
def parsed_tests() -> list[tuple[str, ast.Module]]:
    """Return every test file by its path from the root, with its syntax tree."""
    paths = sorted(TESTS.rglob("test_*.py"))
    return [
        (path.relative_to(TESTS.parent).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in paths
    ]


def rows_of(tree: ast.AST) -> Iterator[int]:
    """Yield the rows of docs/faults.md that the marks in a file name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
            for argument in node.args:
                assert isinstance(argument, ast.Constant), "a row is a number as it stands"
                assert isinstance(argument.value, int), "a row is a number as it stands"
                yield argument.value


def files_by_row() -> dict[int, list[str]]:
    """Return the files with a mark of each row, sorted."""
    found: dict[int, list[str]] = {}
    for file, tree in parsed_tests():
        for row in sorted(set(rows_of(tree))):
            found.setdefault(row, []).append(file)
    return found


def missing_tests(text: str) -> list[str]:
    """Return the tests that a text names as `tests/x.py::test_y` and that do not exist."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    known = {
        f"{file}::{node.name}"
        for file, tree in parsed_tests()
        for node in ast.walk(tree)
        if isinstance(node, functions)
    }
    return [name for name in map("::".join, NAMED.findall(text)) if name not in known]
