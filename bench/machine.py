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
RESULTS = Path(__file__).parent / "results"


def write_result(name: str, result: dict[str, object]) -> None:
    """Print a result and write it to bench/results/NAME.json, with the machine."""
    print(save_result(name, result))


def save_result(name: str, result: dict[str, object], folder: Path = RESULTS) -> str:
    """Write a result to FOLDER/NAME.json, with the machine; return the text."""
    text = json.dumps({"machine": describe(PACKAGES), **result}, indent=2, ensure_ascii=False)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    return text
