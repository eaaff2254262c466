"""A service in a separate process, with its metrics and readiness."""

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
START_S = 60.0  # time limit of a start


@dataclass(frozen=True, slots=True)
class Service:
    """A running service; `pid` is None if its process is unknown."""

    url: str
    pid: int | None = None

    async def metrics(self) -> dict[str, float]:
        """Return the Prometheus metrics by name, each summed over its labels."""
        async with aiohttp.ClientSession(self.url) as session, session.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        totals: dict[str, float] = defaultdict(float)
        for row, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#")):
            totals[row.partition("{")[0]] += float(value)
        return dict(totals)

    async def until_ready(self, limit_s: float = START_S) -> None:
        """Wait until the service is ready; raises TimeoutError."""
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
        """Wait until no request is in flight and the decode queue is empty.

        Return False if that takes longer than `limit_s`.
        """
        end_s = time.monotonic() + limit_s
        while time.monotonic() < end_s:
            totals = await self.metrics()
            if totals["tts_requests_in_flight"] == totals["tts_decode_queue"] == 0:
                return True
            await asyncio.sleep(0.2)
        return False


def free_port() -> int:
    """Return a free TCP port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@asynccontextmanager
async def started(**environment: str) -> AsyncGenerator[Service]:
    """Run `python -m app` in an empty folder with only these settings until the block ends.

    Raises:
        TimeoutError: the service did not start, or did not exit within 40 s after SIGTERM.
    """
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
