"""Wait for a state that has no event, with a time limit."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

import pytest

LIMIT_S = 10.0  # generous: the machine may be busy
PAUSE_S = 0.001


async def until(
    condition: Callable[[], object | Awaitable[object]], limit_s: float = LIMIT_S
) -> None:
    """Return when the condition is true; fail the test at its own line after `limit_s`."""
    __tracebackhide__ = True
    deadline_s = time.monotonic() + limit_s
    while True:
        value = condition()
        if await value if inspect.isawaitable(value) else value:
            return
        if time.monotonic() > deadline_s:
            pytest.fail(f"the condition is still false after {limit_s:g} s")
        await asyncio.sleep(PAUSE_S)


def wait_until(
    condition: Callable[[], object], limit_s: float = LIMIT_S, pause_s: float = PAUSE_S
) -> None:
    """Block until the condition is true; fail the test at its own line after `limit_s`."""
    __tracebackhide__ = True
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"the condition is still false after {limit_s:g} s")
        time.sleep(pause_s)
