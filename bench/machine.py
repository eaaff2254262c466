"""The machine a measurement was made on, so that a number is never read without it."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "numpy", "httpx", "httpx-aiohttp", "aiohttp", "fastapi", "uvicorn", "hibari-tts", "onnxruntime")


def describe() -> dict[str, str | int]:
    """Processor, cores this process may use, memory, versions and the date (UTC)."""
    facts: dict[str, str | int] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "cpu": _first_value(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _first_value(Path("/proc/meminfo"), "MemTotal"),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            continue
    return facts


def write_result(name: str, result: dict[str, object]) -> None:
    """Print a measurement and keep it, with the machine it was made on, in bench/results/."""
    text = json.dumps({"machine": describe(), **result}, indent=2, ensure_ascii=False)
    print(text)
    (Path(__file__).parent / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _first_value(path: Path, key: str) -> str:
    """The value of the first `key : value` line of a file under /proc, or nothing."""
    if not path.exists():
        return ""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
