"""The stress test's image has the packages that its code imports, in the versions tested here."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAGE = re.compile(r"^FROM \S+ AS stress-test$.*?(?=^FROM )", re.MULTILINE | re.DOTALL)


def imported() -> set[str]:
    """Every package that the code imports, at any place, but for Python's and its own."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "stress_test").glob("*.py")
    ]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"stress_test"}


def test_the_image_carries_what_the_code_imports() -> None:
    stage = STAGE.search((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert stage
    pinned = dict(re.findall(r"(\S+)==(\S+)", stage.group()))
    assert set(pinned) == imported()
    assert pinned == {package: version(package) for package in pinned}
