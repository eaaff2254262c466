"""Docstrings, comments and pages are in plain English, as CONTRIBUTING.md asks.

Ruff checks the length of the lines.
"""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
START = re.compile(r"\s*(What|Who|Whose|Whether|Where|How|Of|So|Towards|The same)\b")
WORD = re.compile(r"\b(nobody|somebody|whoever|anybody)\b", re.IGNORECASE)
SOURCES = ("app", "text_normaliser", "stress_test", "bench", "training", "deploy")
PAGES = (".md", ".toml", ".yaml", ".yml", ".html", ".js", ".cfg", ".conf", ".service")
MAX_TARGETS = 2  # of one assignment of a tuple to a tuple


def tracked(suffixes: tuple[str, ...], folders: tuple[str, ...] = ()) -> list[Path]:
    """Return the files of the repository with one of the suffixes."""
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.splitlines() if name.endswith(suffixes)]


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def docstrings(tree: ast.Module) -> list[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, documented)]
    return [text for node in nodes if (text := ast.get_docstring(node))]


def packed_lines(tree: ast.Module) -> list[int]:
    """Return the lines that assign a tuple to a tuple of more than MAX_TARGETS targets."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        for target in node.targets
        if isinstance(target, ast.Tuple) and len(target.elts) > MAX_TARGETS
    ]


@pytest.mark.parametrize("path", tracked((".py",), SOURCES), ids=label)
def test_source_is_in_plain_english(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert [found for found in docstrings(tree) if START.match(found)] == []
    assert WORD.findall(text) == []
    assert packed_lines(tree) == []


@pytest.mark.parametrize("path", tracked(PAGES), ids=label)
def test_pages_name_the_actor(path: Path) -> None:
    assert WORD.findall(path.read_text(encoding="utf-8")) == []


def test_violations_are_found() -> None:
    tree = ast.parse('def f():\n    """Whether it is well."""\n    a, b, c = 1, 2, 3\n')
    assert [text for text in docstrings(tree) if START.match(text)] == ["Whether it is well."]
    assert packed_lines(tree) == [3]
    assert WORD.findall("Nobody hears it.") == ["Nobody"]
