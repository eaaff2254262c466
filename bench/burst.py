"""Burst of requests at a cold start: `python -m bench.burst [--beside CHECKOUT] [--runs N]`.

Each run starts `python -m app` without settings and runs the default stress test: three requests,
then fifty at once. With `--beside` the runs alternate between this checkout and an older one. The
result is written to bench/results/burst.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.machine import write_result
from bench.running_service import embedded

ROOT = Path(__file__).parent.parent
LIMIT_S = 120  # time limit of the load


async def burst(checkout: Path) -> dict[str, object]:
    """Start the service of a checkout, run the load and return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        async with embedded(PYTHONPATH=str(checkout)) as url:
            command = [sys.executable, "-m", "stress_test", "--url", url, "--json", str(result)]
            load = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, stdout=subprocess.DEVNULL
            )
            await asyncio.wait_for(load.wait(), LIMIT_S)
        figures = json.loads(result.read_text())["figures"]
    heard = figures["heard"]
    return {
        "answered": figures["requests"] - figures["failed"],
        "errors": figures["errors"],
        "streams_with_a_gap": heard["underrun_streams"],
        "silence_s": round(heard["underrun_s"], 2),
        "first_audio_s_p50": round(heard["first_audio"]["p50"], 3),
        "audio_s_per_s": round(heard["audio_s_per_s"], 1),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--beside", type=Path, help="older checkout to compare with")
    parser.add_argument("--runs", type=int, default=4)
    arguments = parser.parse_args()
    checkouts = {"now": ROOT} | ({"before": arguments.beside.resolve()} if arguments.beside else {})
    runs: dict[str, list[dict[str, object]]] = {name: [] for name in checkouts}
    for _ in range(arguments.runs):
        for name, checkout in checkouts.items():
            runs[name].append(uvloop.run(burst(checkout)))
            print(name, runs[name][-1], file=sys.stderr, flush=True)
    write_result("burst", {"load": "3 requests, then 50 at once", **runs})


if __name__ == "__main__":
    main()
