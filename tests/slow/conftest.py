"""Fixtures of the tests of the page."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from tests.slow.browser import BROWSERS, chromium, opened_page, service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    pytest.importorskip("playwright", reason="make setup-browser installs what drives the browser")
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip("no Chromium: make setup-browser, as root on Debian")
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def url(browser: Browser) -> Generator[str]:
    with service() as found:
        yield found


@pytest.fixture
def page(browser: Browser, url: str) -> Generator[Page]:
    """The page, ready; the end of the test fails if anything went wrong in it."""
    with opened_page(browser, url) as opened:
        yield opened
