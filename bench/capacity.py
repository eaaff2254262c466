"""Number of listeners that a service sustains on this machine: `python -m bench.capacity NAME`.

`embedded` is `python -m app` without an engine URL. `neucodec` has the real codec (`--device cuda`
on a GPU) and a fake engine with the token rate of a language model. `stub` has a fake codec that
takes an assumed time per call, and shows the limit of the service itself. Load generator and fake
engine run on the same machine. The result is written to bench/results/capacity-NAME.json; see
bench/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import uvloop

from bench.running_service import embedded, with_fake_engine

ROOT = Path(__file__).parent.parent
UNBOUNDED = {"MAX_CONCURRENT_REQUESTS": "1000"}  # so that this limit is not the result


def services(device: str) -> dict[str, Callable[[], AbstractAsyncContextManager[str]]]:
    """Return the services by name, each as a function that starts it."""
    return {
        "embedded": partial(embedded, **UNBOUNDED),
        "stub": partial(with_fake_engine, "stub"),
        "neucodec": partial(with_fake_engine, "neucodec", device),
    }


async def measure(name: str, device: str, options: list[str]) -> int:
    """Measure one service and return the exit status of the stress test."""
    result = ROOT / "bench" / "results" / f"capacity-{name}{'' if device == 'cpu' else '-gpu'}.json"
    async with services(device)[name]() as url:
        command = [sys.executable, "-m", "stress_test", "capacity", "--url", url]
        command += ["--sentences", "bench/sentences.txt", "--json", str(result), *options]
        return await (await asyncio.create_subprocess_exec(*command, cwd=ROOT)).wait()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("service", choices=[*services("cpu")])
    parser.add_argument("--device", default="cpu", help="DEVICE of neucodec")
    arguments, options = parser.parse_known_args()
    sys.exit(uvloop.run(measure(arguments.service, arguments.device, options)))


if __name__ == "__main__":
    main()
