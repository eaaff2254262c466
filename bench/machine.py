"""Writer of results, each with a description of the machine."""

from __future__ import annotations

import json
from pathlib import Path

from stress_test.machine import describe

PACKAGES = (
    "torch",
    "numpy",
    "httpx",
    "httpx-aiohttp",
    "aiohttp",
    "fastapi",
    "uvicorn",
    "hibari-tts",
    "onnxruntime",
)


def write_result(name: str, result: dict[str, object]) -> None:
    """Print a result and write it to bench/results/NAME.json, with the machine."""
    text = json.dumps({"machine": describe(PACKAGES), **result}, indent=2, ensure_ascii=False)
    print(text)
    (Path(__file__).parent / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
