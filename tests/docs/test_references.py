"""Paths, modules and links in the pages exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"`([^`\n]+)`")
MODULE = re.compile(r"-m ((?:app|bench|tests|training|stress_test)(?:\.\w+)*)")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
# docs/faults.md names the tests by their paths below tests/, which test_faults.py checks.
FOLDERS = ("app/", "bench/", "tests/", "training/", "docs/", "deploy/", "stress_test/")
PLACEHOLDER = re.compile(r"NAME|[*<{]")


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.splitlines()]


def missing(text: str, folder: Path) -> list[str]:
    """Return the paths, modules and links that do not exist; `folder` is that of the page."""
    words = [word.strip(".,;:()'\"") for code in CODE.findall(text) for word in code.split()]
    paths = [word.partition("::")[0] for word in words if word.startswith(FOLDERS)]
    links = [link for link in LINK.findall(text) if not link.startswith(("http", "/"))]
    return [
        *(path for path in paths if not PLACEHOLDER.search(path) and not (ROOT / path).exists()),
        *(name for name in MODULE.findall(text) if importlib.util.find_spec(name) is None),
        *(link for link in links if not (folder / link).exists()),
    ]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_references_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name == "faults.md":
        text = re.sub(r"`(?:stress_test|deploy|docs)/(test_\w+\.py)`", "", text)
    assert missing(text, page.parent) == []


def test_missing_references_are_found() -> None:
    text = "`app/main.py`, `app/old.py`, `python -m bench.old`, [a page](old.md), `bench/NAME.json`"
    assert missing(text, ROOT) == ["app/old.py", "bench.old", "old.md"]
