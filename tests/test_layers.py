"""The direction of imports: main, api, pipeline, {engine, decode, codec}, speech, and leaves below them all."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "app"
LEAVES = (
    "addresses",
    "allocator",
    "codec.registry",
    "codec.spec",
    "contention",
    "errors",
    "folder",
    "idle",
    "logs",
    "metrics",
    "misspelt",
    "profiles",
    "request_errors",
    "samples",
    "setting_types",
    "settings",
    "standstill",
    "tracing",
    "version",
)
RANKS = {
    "__main__": 6,
    "prefetch": 6,
    "main": 5,
    "assembly": 4,
    "loading": 4,
    "server": 5,
    "connection": 5,
    "websocket_connection": 5,
    "handshake": 5,
    "refusal": 5,
    "unframed": 5,
    "outflow": 5,
    "patience": 5,
    "api": 4,
    "pipeline": 3,
    "arrival": 3,
    "attempt": 3,
    "parts": 3,
    "progress": 3,
    "replay": 3,
    "replay_folder": 3,
    "trail": 3,
    "generations": 3,
    "speaker": 3,
    "listener": 3,
    "engine": 2,
    "decode": 2,
    "clone": 2,
    "codec": 2,
    "voices": 2,
    "misconfiguration": 2,
    "speech": 1,
    **dict.fromkeys(LEAVES, 0),
}
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
MODULES = sorted(APP.rglob("*.py"))


def name_of(path: Path) -> str:
    """app/engine/vllm/sse.py is engine.sse, app/codec/__init__.py codec."""
    return ".".join(path.relative_to(APP).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Everything that a module imports anywhere, also within functions; modules of ours as app.x.y."""
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
    """Return the first name of a module, or the whole name if it has a rank of its own."""
    name = module.removeprefix("app.")
    return name if name in RANKS else name.split(".")[0]


def parts_used(path: Path) -> set[str]:
    return {part_of(name) for name in imported(path) if name.startswith("app.")} - {
        part_of(name_of(path))
    }


SOURCES = [path for path in MODULES if path != APP / "__init__.py"]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_imports_downwards_only(path: Path) -> None:
    part = part_of(name_of(path))
    allowed = {other for other, rank in RANKS.items() if rank <= RANKS[part]}
    assert parts_used(path) <= allowed


def test_parts_of_one_level_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in SOURCES:
        graph.setdefault(part_of(name_of(path)), set()).update(parts_used(path))
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert order.index("speech") < order.index("engine") < order.index("api") < order.index("main")


@pytest.mark.parametrize(
    "path", [*sorted((APP / "speech").glob("*.py")), APP / "engine" / "sse.py"], ids=name_of
)
def test_the_pure_line_knows_no_device_no_network_and_no_clock(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} & IMPURE == set()


def test_torch_is_imported_where_tensors_are_and_nowhere_else() -> None:
    users = {
        name_of(path)
        for path in MODULES
        if any(name.split(".")[0] == "torch" for name in imported(path))
    }
    assert "codec.neucodec" in users
    elsewhere = {name for name in users if not name.startswith("codec.")}
    assert elsewhere <= {"engine.nar", "engine.one_pass"}


def test_importing_the_application_does_not_import_torch() -> None:
    code = "import sys, app.synthesis.synthesize, app.main, app.api.routes.speech; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=APP.parent, check=False).returncode == 0
