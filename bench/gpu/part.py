"""One part of the benchmark, in a process of its own: `python -m bench.gpu.part neucodec`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pkgutil import resolve_name
from typing import cast

from bench.gpu.setup import Setup
from bench.gpu.steps import Steps

Run = Callable[[Steps, Setup], None]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", help="name of a module of bench.gpu that has a function `run`")
    parser.add_argument("--seconds", type=float, default=150, help="time limit of its steps")
    parser.add_argument("--host", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    run = cast(Run, resolve_name(f"bench.gpu.{arguments.part}:run"))
    run(Steps(arguments.seconds), Setup(arguments.host, arguments.quick))


if __name__ == "__main__":
    main()
