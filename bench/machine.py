"""Where measurements are kept, each with the machine that it was made on."""

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
    """Print a measurement and keep it, with the machine it was made on, in bench/results/."""
    text = json.dumps({"machine": describe(PACKAGES), **result}, indent=2, ensure_ascii=False)
    print(text)
    (Path(__file__).parent / "results" / f"{name}.json").write_text(text + "\n", encoding="utf-8")
