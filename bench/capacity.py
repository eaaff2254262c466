"""How many listeners a service carries on this machine: `python -m bench.capacity embedded` and the like.

`embedded` is `python -m app` without an engine; `neucodec` has a real
codec (`--device cuda` on a GPU) behind an engine's stand-in at a language model's pace; `stub` has no codec but the
time that one is assumed to take, and shows where the service ends. The load, and the stand-in, are on this machine too.
Writes bench/results/capacity-NAME.json; bench/README.md says more.
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

from bench.served import between, embedded

ROOT = Path(__file__).parent.parent
UNBOUNDED = {"MAX_CONCURRENT_REQUESTS": "1000"}  # or the bound would be what is found


def services(device: str) -> dict[str, Callable[[], AbstractAsyncContextManager[str]]]:
    """What can be asked how much it carries."""
    return {
        "embedded": partial(embedded, **UNBOUNDED),
        "stub": partial(between, "stub"),
        "neucodec": partial(between, "neucodec", device),
    }


async def measure(name: str, device: str, options: list[str]) -> int:
    """Ask one service; the exit status of the stress test."""
    result = ROOT / "bench" / "results" / f"capacity-{name}{'' if device == 'cpu' else '-gpu'}.json"
    async with services(device)[name]() as url:
        arguments = [
            "--url",
            url,
            "--sentences",
            "bench/sentences.txt",
            "--json",
            str(result),
            *options,
        ]
        command = [sys.executable, "-m", "stress_test", "capacity", *arguments]
        return await (await asyncio.create_subprocess_exec(*command, cwd=ROOT)).wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("service", choices=[*services("cpu")])
    parser.add_argument("--device", default="cpu", help="DEVICE of neucodec")
    arguments, options = parser.parse_known_args()
    sys.exit(uvloop.run(measure(arguments.service, arguments.device, options)))


if __name__ == "__main__":
    main()
