"""Resolver of the host names of engines."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class EngineResolver(AbstractResolver):
    """Resolves host names in a thread of its own.

    A lookup that hangs cannot be cancelled. In the thread pool of the event loop, which aiohttp
    uses by default, it would delay the lookups of other engines and all other work there.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "engine-name")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name; raise OSError if it does not exist."""

        def resolve_blocking() -> list[ResolveResult]:
            found = socket.getaddrinfo(
                host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
            return [
                ResolveResult(
                    hostname=host,
                    host=_numeric(address),
                    port=port,
                    family=kind,
                    proto=proto,
                    flags=NUMERIC,
                )
                for kind, _, proto, _, address in found
            ]

        return await asyncio.get_running_loop().run_in_executor(self._thread, resolve_blocking)

    async def close(self) -> None:
        """End the thread, without waiting for a lookup that hangs."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _numeric(address: Sequence[object]) -> str:
    """Return the address as text, with the interface of a link-local address."""
    scope = address[3] if len(address) > 3 else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])
