"""Imports point downwards: a layer imports only layers below it, and leaves."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[1] / "app"
NORMALISER = APP.parent / "text_normaliser"
LAYERS = (  # from the top; parts of one layer may import each other, but not in a circle
    {"__main__", "commands", "prefetch"},
    {"main"},
    {"startup"},
    {"components", "server"},
    {"api"},
    {"cloning", "replay"},
    {"synthesis"},
    {"engine", "decode"},
    {"codec"},
    {"audio"},
    {"tokens", "text"},
    {"config"},
    {"codec.registry", "codec.spec"},  # data alone
    {
        "errors",
        "child_process",
        "cpu_contention",
        "logs",
        "metrics",
        "onnx_network",
        "process_time",
        "readiness",
        "storage",
        "tracing",
    },
)
RANK = {part: rank for rank, parts in enumerate(reversed(LAYERS)) for part in parts}
PURE = ("audio", "text", "tokens")
IMPURE = {
    "asyncio",
    "torch",
    "time",
    "httpx",
    "aiohttp",
    "socket",
    "threading",
    "random",
    "os",
    "datetime",
    "snac",
}
MODULES = [path for path in sorted(APP.rglob("*.py")) if path != APP / "__init__.py"]


def name_of(path: Path) -> str:
    """Map app/engine/vllm/sse.py to `engine.vllm.sse`, and app/codec/__init__.py to `codec`."""
    return ".".join(path.relative_to(APP).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Return all modules that a module imports, also within functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            names |= {f"app.{alias.name}" for alias in node.names} if module == "app" else {module}
    return names


def part_of(module: str) -> str:
    """Return the first name of a module, or the whole name if it is a layer of its own."""
    name = module.removeprefix("app.")
    return name if name in RANK else name.split(".")[0]


def parts_used(path: Path) -> set[str]:
    used = {part_of(name) for name in imported(path) if name.startswith("app.")}
    return used - {part_of(name_of(path)), "__version__"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_downwards_only(path: Path) -> None:
    rank = RANK[part_of(name_of(path))]
    assert {part: RANK[part] for part in parts_used(path) if RANK[part] > rank} == {}


def test_parts_of_one_layer_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        graph.setdefault(part_of(name_of(path)), set()).update(parts_used(path))
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("text") < order.index("engine") < order.index("api") < order.index("main")


def test_every_part_has_a_layer() -> None:
    assert {part_of(name_of(path)) for path in MODULES} == set(RANK)


def test_the_map_in_contributing_has_these_layers_and_every_folder_of_tests() -> None:
    text = (APP.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| part | contents |\n|---|---|\n")[2].partition("\n\n")[0]
    cells = [re.findall(r"`([^`]+)`", row.split("|")[1]) for row in table.splitlines()]
    layers = [
        {name.removesuffix("/").removesuffix(".py").replace("/", ".") for name in names}
        for names in cells
    ]
    assert layers == list(LAYERS)
    folders = {path.parent.name for path in Path(__file__).parent.glob("*/test_*.py")}
    assert {folder for folder in folders if f"`{folder}/`" not in text} == set()


def test_the_normaliser_imports_nothing_of_the_application() -> None:
    paths = sorted(NORMALISER.rglob("*.py"))
    assert paths
    for path in paths:
        assert not any(name.split(".")[0] == "app" for name in imported(path)), path


@pytest.mark.parametrize(
    "path",
    [
        *(path for part in PURE for path in sorted((APP / part).glob("*.py"))),
        *sorted(NORMALISER.glob("*.py")),
        APP / "engine" / "vllm" / "sse.py",
    ],
    ids=lambda path: str(path.relative_to(APP.parent)),
)
def test_pure_modules_import_no_device_no_network_and_no_clock(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} & IMPURE == set()


def test_only_the_codecs_import_torch_and_not_the_built_in_one() -> None:
    users = {
        name_of(path)
        for path in MODULES
        if any(name.split(".")[0] == "torch" for name in imported(path))
    }
    assert "codec.neucodec.load" in users
    assert {name for name in users if not name.startswith("codec.")} == set()
    assert {name for name in users if name.startswith("codec.builtin")} == set()


def test_importing_the_application_does_not_import_torch() -> None:
    code = "import sys, app.synthesis.synthesize, app.main; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=APP.parent, check=False).returncode == 0
