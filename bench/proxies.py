"""Delay that HAProxy and nginx add to each chunk of an answer: `python -m bench.proxies`.

The server (bench.chunk_server) sends chunks of 20 ms of pcm, each with the time at which it was
written. The clients use the same clock and record when a chunk is complete. The paths take turns,
so that all of them run under the same conditions. With --ray the path is Ray Serve, by a Python
that has it: `.venv-ray/bin/python -m bench.proxies --ray`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import uvloop

from bench import proxied
from bench.chunk_server import CHUNK_BYTES, CHUNK_S, STAMP
from bench.machine import write_result
from stress_test.percentile import percentile
from stress_test.service import Service, free_port

READY_S = 120.0  # time limit of a start; Ray is slow


async def listen(session: aiohttp.ClientSession, url: str) -> list[float]:
    """Return the delay of each chunk of one answer, in seconds."""
    late_s: list[float] = []
    waiting = b""
    async with session.post(url, data=b"{}") as answer:
        async for data in answer.content.iter_any():
            now_s = time.monotonic()
            waiting += data
            while len(waiting) >= CHUNK_BYTES:
                late_s.append(now_s - STAMP.unpack_from(waiting)[0])
                waiting = waiting[CHUNK_BYTES:]
    return late_s


async def measure(urls: dict[str, str], streams: int, rounds: int) -> dict[str, list[float]]:
    """Return the delays of all chunks on each path."""
    late_s: dict[str, list[float]] = {name: [] for name in urls}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for url in urls.values():
            await Service(url).until_ready(READY_S)
        for _ in range(rounds):
            for name, url in urls.items():
                answers = await asyncio.gather(*(listen(session, url) for _ in range(streams)))
                late_s[name] += [chunk for answer in answers for chunk in answer]
    return late_s


def summary(late_s: list[float], direct_s: list[float]) -> dict[str, float]:
    """Return percentiles in milliseconds, and the median added to that of the direct path."""
    quantiles = {
        f"p{percent}_ms": round(percentile(late_s, percent) * 1000, 2) for percent in (50, 90, 99)
    }
    added = percentile(late_s, 50) - percentile(direct_s, 50)
    return {**quantiles, "added_p50_ms": round(added * 1000, 2), "pieces": len(late_s)}


@contextmanager
def serving(chunks: int, *how: str) -> Iterator[int]:
    """Run a server of bench.chunk_server. Yields its port."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.chunk_server", str(port), str(chunks), *how]
    ) as server:
        try:
            yield port
        finally:
            server.send_signal(signal.SIGINT)


def main() -> None:
    """Measure the direct path, and the paths through HAProxy and nginx or through Ray Serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=250)
    parser.add_argument(
        "--ray", action="store_true", help="measure Ray Serve instead of the proxies"
    )
    arguments = parser.parse_args()
    with ExitStack() as stack:
        port = stack.enter_context(serving(arguments.chunks))
        urls = {"direct": f"http://127.0.0.1:{port}"}
        if arguments.ray:
            urls["ray"] = (
                f"http://127.0.0.1:{stack.enter_context(serving(arguments.chunks, 'ray'))}"
            )
        else:
            proxied.wait(port)
            for name, start in proxied.PATHS.items():
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                urls[name] = stack.enter_context(start(port, port, folder))
        late_s = uvloop.run(measure(urls, arguments.streams, arguments.rounds))
    result = {name: summary(late, late_s["direct"]) for name, late in late_s.items()}
    name = "ray" if arguments.ray else "proxies"
    write_result(name, {"streams": arguments.streams, "piece_ms": CHUNK_S * 1000, "paths": result})


if __name__ == "__main__":
    main()
