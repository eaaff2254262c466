"""What HAProxy and nginx add to each piece of an answer: `python -m bench.proxies`.

A server of our own sends pieces of 20 ms of pcm in chunked bodies, each with the moment at which it was written; the
clients, on the same clock, note when a piece is complete. The paths take turns, so that all meet the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import uvloop

from bench import proxied
from bench.heard import percentile
from bench.machine import write_result
from stress_test.service import free_port

PIECE_BYTES = 960  # 20 ms at 24 kHz, 16 bit
PIECE_S = 0.02
STAMP = struct.Struct("<d")


def serve(port: int, pieces: int) -> None:
    """Answer every request with so many pieces, at their pace, through the service's own server."""
    import uvicorn  # noqa: PLC0415  (only in the server's process)

    from app.server import AbortableProtocol  # noqa: PLC0415

    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        assert callable(send)
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"audio/pcm")]})
        begun_s = time.monotonic()
        for index in range(pieces if scope["method"] == "POST" else 0):
            await asyncio.sleep(begun_s + index * PIECE_S - time.monotonic())
            body = STAMP.pack(time.monotonic()).ljust(PIECE_BYTES, b"\0")
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body"})

    uvicorn.run(app, host="127.0.0.1", port=port, http=AbortableProtocol, lifespan="off", log_level="warning")


async def listen(session: aiohttp.ClientSession, url: str) -> list[float]:
    """How late each piece of one answer was, in seconds."""
    late_s: list[float] = []
    waiting = b""
    async with session.post(url, data=b"{}") as answer:
        async for data in answer.content.iter_any():
            now_s = time.monotonic()
            waiting += data
            while len(waiting) >= PIECE_BYTES:
                late_s.append(now_s - STAMP.unpack_from(waiting)[0])
                waiting = waiting[PIECE_BYTES:]
    return late_s


async def measure(urls: dict[str, str], streams: int, rounds: int) -> dict[str, list[float]]:
    """The lateness of all pieces on each path."""
    late_s: dict[str, list[float]] = {name: [] for name in urls}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for _ in range(rounds):
            for name, url in urls.items():
                heard = await asyncio.gather(*(listen(session, url) for _ in range(streams)))
                late_s[name] += [piece for answer in heard for piece in answer]
    return late_s


def summary(late_s: list[float], direct_s: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds, and what the path adds to the direct one's."""
    quantiles = {f"p{percent}_ms": round(percentile(late_s, percent) * 1000, 2) for percent in (50, 90, 99)}
    added = percentile(late_s, 50) - percentile(direct_s, 50)
    return {**quantiles, "added_p50_ms": round(added * 1000, 2), "pieces": len(late_s)}


def main() -> None:
    """Measure direct, through HAProxy (with and without its option), and through nginx."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pieces", type=int, default=250)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.pieces)
        return
    port = free_port()
    command = [sys.executable, "-m", "bench.proxies", "--serve", str(port), "--pieces", str(given.pieces)]
    with ExitStack() as stack:
        server = stack.enter_context(subprocess.Popen(command))
        stack.callback(server.kill)
        proxied.wait(port)
        urls = {"direct": f"http://127.0.0.1:{port}"}
        for name, start in proxied.PATHS.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            urls[name] = stack.enter_context(start(port, port, folder))
        time.sleep(2)  # HAProxy asks its servers twice before it uses them
        late_s = uvloop.run(measure(urls, given.streams, given.rounds))
    result = {name: summary(late, late_s["direct"]) for name, late in late_s.items()}
    write_result("proxies", {"streams": given.streams, "piece_ms": PIECE_S * 1000, "paths": result})


if __name__ == "__main__":
    main()
