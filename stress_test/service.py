"""A service in a process of its own, and what it says of itself."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[1]
START_S = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs here."""

    url: str
    pid: int | None = None

    async def metrics(self) -> dict[str, float]:
        """Its metrics by name, each summed over its labels."""
        async with aiohttp.ClientSession(self.url) as session, session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        told: dict[str, float] = defaultdict(float)
        for row, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#")):
            told[row.partition("{")[0]] += float(value)
        return dict(told)

    async def until_ready(self, limit_s: float = START_S) -> None:
        """Return when it speaks; raises TimeoutError."""
        async with asyncio.timeout(limit_s), aiohttp.ClientSession(self.url) as session:
            while True:
                try:
                    async with session.get("/ready") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)

    async def settled(self, limit_s: float = 20.0) -> bool:
        """Whether nothing is in flight or waits for the device, soon."""
        ends_s = time.monotonic() + limit_s
        while time.monotonic() < ends_s:
            told = await self.metrics()
            if told["tts_requests_in_flight"] == told["tts_decode_queue"] == 0:
                return True
            await asyncio.sleep(0.2)
        return False


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@asynccontextmanager
async def started(**environment: str) -> AsyncGenerator[Service]:
    """`python -m app` in an empty folder, with these settings alone, until the block ends; then it must end well."""
    port = free_port()
    clean = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    own = {
        "PYTHONPATH": str(ROOT),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "LOG_LEVEL": "error",
        **environment,
    }
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "app", cwd=folder, env={**clean, **own}
        )
        service = Service(f"http://127.0.0.1:{port}", process.pid)
        try:
            await service.until_ready()
            yield service
        finally:
            process.terminate()
            async with asyncio.timeout(40):
                await process.wait()
