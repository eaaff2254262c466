"""Cancel work when its client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.errors import count_rejection

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Awaitable[T]) -> T:
    """Return the result of `work`, or cancel it when the client disconnects.

    The body of the request must have been read.

    Raises:
        ClientDisconnect: the client disconnected.
    """
    try:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(_watch(request))
            done = await work
            watcher.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return done


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has disconnected. Drop all other messages."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _watch(request: Request) -> None:
    await wait_for_disconnect(request.receive)
    count_rejection(request.scope, "cancelled")
    raise ClientDisconnect
