"""Work for a client who may leave before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.failure import refused

T = TypeVar("T")


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """What the work comes to; it is cancelled when the client leaves. The request's body has been read.

    Raises:
        ClientDisconnect: the client has left.
    """
    try:
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(_watch(request))
            done = await work
            watcher.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return done


async def disconnected(receive: Receive) -> None:
    """Return when the client has left; what else comes is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _watch(request: Request) -> None:
    await disconnected(request.receive)
    refused(request.scope, "cancelled")
    raise ClientDisconnect
