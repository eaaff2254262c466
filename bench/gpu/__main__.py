"""First run on a GPU: are the codecs correct, and how fast are they: `python -m bench.gpu`.

It takes less than eight minutes and needs no network. Each part runs in a process of its own with a
time limit. Each step prints one line of JSON when it ends; a step that fails says so, and the next
one runs. FOLDER/gpu.json has all steps and the goals of the service on an H200. The last line is a
summary. FOLDER/gpu.log has the log. The exit status is 1 if a step failed or a process died.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from bench.gpu.goals import Parts, goals
from bench.gpu.process import part_command, run_process
from bench.machine import RESULTS, save_result

# Parts in their order, with the time limit of each in seconds.
PARTS = {
    "machine": 45,
    "operators": 60,
    "neucodec": 160,
    "fused": 90,
    "snac": 80,
    "service": 150,
    "compiled": 120,
}
SHORTEST_S = 15  # a part is skipped if less is left
EXIT_S = 5  # left for the exit of a part after its steps


def run_parts(parts: list[str], seconds: float, flags: list[str], folder: Path) -> Parts:
    """Run the parts one after the other; write the result after each."""
    end_s = time.monotonic() + seconds
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "gpu.log"
    log.unlink(missing_ok=True)
    results: Parts = {}
    for part in parts:
        limit_s = min(PARTS[part], end_s - time.monotonic())
        if limit_s < SHORTEST_S:
            results[part] = {"skipped": f"{limit_s:.0f} s left"}
        else:
            command = part_command(part, limit_s - EXIT_S, flags)
            results[part] = run_process(command, limit_s, log)
        save_result("gpu", {"flags": flags, "goals": goals(results), "parts": results}, folder)
    return results


def failures(parts: Parts) -> dict[str, list[str]]:
    """Return the steps that failed, those that were skipped, and the processes that died."""
    steps = {
        f"{part}/{name}": row
        for part, result in parts.items()
        for name, row in result.get("steps", {}).items()
    }
    return {
        "failed": [name for name, row in steps.items() if row.get("ok") is False],
        "skipped": [name for name, row in (steps | parts).items() if "skipped" in row],
        "died": [part for part, result in parts.items() if result.get("exit")],
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=450, help="time limit of all parts")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="capture fewer graphs")
    parser.add_argument(
        "--host",
        action="store_true",
        help="run on the CPU with a small NeuCodec, to test this benchmark itself",
    )
    arguments = parser.parse_args()
    started_s = time.monotonic()
    flags = [f"--{name}" for name in ("quick", "host") if getattr(arguments, name)]
    results = run_parts(arguments.parts, arguments.seconds, flags, arguments.out)
    summary: dict[str, Any] = {**failures(results), "goals": goals(results)}
    summary["took_s"] = round(time.monotonic() - started_s, 1)
    print(json.dumps({"summary": summary}), flush=True)
    sys.exit(bool(summary["failed"] or summary["died"]))


if __name__ == "__main__":
    main()
