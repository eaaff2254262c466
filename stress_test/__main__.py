"""`python -m stress_test` runs a load and prints its reports; see `--help`.

The exit status is 1 if a request failed. `python -m stress_test compare A.json B.json` prints two
results side by side. `python -m stress_test capacity` searches the load that a server sustains.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from stress_test import capacity_report, comparison
from stress_test.figures import Figures
from stress_test.load import Load
from stress_test.options import Options, parse
from stress_test.page import page
from stress_test.processes import ProcessFailed, Run
from stress_test.progress import run_shown, warm_up_shown
from stress_test.report import INTERRUPTED, report
from stress_test.result import Result


def describe(load: Load) -> str:
    """Describe the load in one line."""
    if load.rate:
        load_text = f"{load.rate:g} requests a second for {load.duration_s:g} s"
    elif load.requests == load.concurrency:
        load_text = f"{load.requests} at once"
    else:
        limit = (
            f"{load.requests} requests" if load.requests else f"requests for {load.duration_s:g} s"
        )
        load_text = f"{limit}, {load.concurrency} in flight,"
    return f"{load.warmup_count} warm-up requests, then {load_text} to {load.base_url}"


async def measure(options: Options) -> Run:
    """Warm the server up, then run the load."""
    await warm_up_shown(options.load)
    return await run_shown(options.load)


def write(options: Options, result: Result) -> None:
    """Write the result files that the options name."""
    if options.json:
        options.json.write_text(result.dump(), encoding="utf-8")
    if options.html:
        options.html.write_text(page(result), encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit status of the process."""
    commands = {"compare": comparison.main, "capacity": capacity_report.main}
    if arguments and arguments[0] in commands:
        return commands[arguments[0]](arguments[1:])
    options = parse(arguments)
    print(describe(options.load), file=sys.stderr)
    try:
        done = asyncio.run(measure(options))
    except ProcessFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # during the warm-up
        return INTERRUPTED
    figures = Figures.of(done)
    print(report(figures))
    write(options, Result.of(options.load, done))
    if done.interrupted:
        print("interrupted: the figures cover the requests that had ended", file=sys.stderr)
        return INTERRUPTED
    return int(figures.failed > 0 or not figures.requests)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
