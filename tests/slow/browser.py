"""Chromium, the service, and the steps that the tests of the page share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.child_service import running_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A microphone that beeps, and no question before its use.
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
LIMIT_MS = 20_000
LONG = "One two three four five six seven eight nine ten eleven twelve."


@contextmanager
def chromium() -> Generator[Browser]:
    """Yield a headless browser of this machine."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", *MICROPHONE]
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@contextmanager
def service(module: str = "app", **environment: str) -> Generator[str]:
    """Run the service, with the embedded voices by default, and yield its URL."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_in(Path(folder), module, **environment) as running,
    ):
        yield running.url


@contextmanager
def opened_page(browser: Browser, url: str, script: str = "") -> Generator[Page]:
    """Open the page, and yield it when it is ready. `script` runs before its own.

    At the end it may have had no error, no violation of its policy, and no request to another
    server.
    """
    page = browser.new_page()
    page.set_default_timeout(LIMIT_MS)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda message: wrong.append(message.text) if "Security Policy" in message.text else None,
    )
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith((url, "blob:")) else wrong.append(request.url)
        ),
    )
    if script:
        page.add_init_script(script)
    page.goto(url)
    until(page, "Ready")
    yield page
    page.close()
    assert wrong == []


def until(page: Page, words: str) -> None:
    """Wait for a status. On a busy machine "Done" is followed by the number of gaps."""
    page.wait_for_function(
        "(words) => document.getElementById('status').textContent.startsWith(words)", arg=words
    )


def speak(page: Page, text: str, name: str = "pcm") -> None:
    """Type a text, choose a format and press Speak."""
    page.fill("#text", text)
    page.select_option("#format", name)
    page.click("#speak")


def spoken(url: str, **fields: object) -> bytes:
    """Return the response of the service itself."""
    answer = httpx.post(
        f"{url}/v1/audio/speech", json={"voice": "lark", **fields}, trust_env=False, timeout=30
    )
    answer.raise_for_status()
    return answer.content
