"""The stress test against two services: `python -m bench.stress`.

`embedded` is `python -m app` without settings. `stub` has a fake engine with the token rate of a
language model and a fake codec with the assumed cost of an H200 (bench.cost), and so measures the
service between them. The results and their pages are written to bench/results/stress-*.json and
bench/results/pages/.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import uvloop

from bench.running_service import embedded, with_fake_engine

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PAGES = RESULTS / "pages"
SENTENCES = ("--sentences", "bench/sentences.txt")
LOADS = {
    "embedded": [("embedded", ["--requests", "60", "--concurrency", "2", *SENTENCES])],
    "stub": [
        ("stub", ["--concurrency", "50"]),
        ("stub-open", ["--rate", "8", "--duration", "20", *SENTENCES]),
    ],
}


SERVICES: dict[str, Callable[[], AbstractAsyncContextManager[str]]] = {
    "embedded": embedded,
    "stub": partial(with_fake_engine, "stub"),
}


async def stress(url: str, name: str, options: list[str]) -> None:
    """Run one load; write its result and its page."""
    files = ["--json", str(RESULTS / f"stress-{name}.json")]
    files += ["--html", str(PAGES / f"stress-{name}.html")]
    PAGES.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "stress_test", "--url", url, *options, *files]
    print("$ python -m stress_test", *options, flush=True)
    await (await asyncio.create_subprocess_exec(*command, cwd=ROOT)).wait()


def photograph(name: str) -> None:
    """Take a screenshot of a page as bench/results/plots/stress-NAME.png, if Chromium is installed.

    Needs '.[browser]'.
    """
    found = shutil.which("chromium")
    if found is None:
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  (optional)

    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=found, args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page(viewport={"width": 1160, "height": 840})
        page.goto((PAGES / f"stress-{name}.html").as_uri())
        page.screenshot(path=RESULTS / "plots" / f"stress-{name}.png")
        browser.close()


async def measure(services: list[str]) -> None:
    """Run every load on every service."""
    for service in services:
        async with SERVICES[service]() as url:
            for name, options in LOADS[service]:
                await stress(url, name, options)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("services", nargs="*", default=[*SERVICES], help="embedded, stub")
    parser.add_argument("--pictures", action="store_true", help="take screenshots of the pages")
    arguments = parser.parse_args()
    uvloop.run(measure(arguments.services))
    for service in arguments.services if arguments.pictures else []:
        for name, _ in LOADS[service]:
            photograph(name)


if __name__ == "__main__":
    main()
