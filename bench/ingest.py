"""CPU time for reading the engine's stream: `python -m bench.ingest` (about three minutes).

A fake engine in another process sends 50 streams of 380 tokens per second, with 1 and with 10
tokens per event. The result has the CPU time of this process per token for each reader, and its
ratio to a bare aiohttp reader in the same round. It also has the CPU time per request, with answers
of one token. Medians of the rounds are written to bench/results/ingest.json. Everything runs on
uvloop.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import httpx
import orjson
import uvloop
from httpx_aiohttp import AiohttpTransport

from app.config.profiles import TokenSyntax
from app.engine import Sampling, TokenNumbers
from app.engine.vllm.client import EngineLimits, VllmEngine
from bench.machine import write_result
from bench.paced_engine import paced_engine

TOKENS_PER_S = 380
MARK = b"<|s_"  # prefix of a token, which the bare readers count


@dataclass(frozen=True, slots=True)
class Load:
    """`streams` concurrent streams of `tokens` tokens each, `interval` tokens per event."""

    url: str
    streams: int
    tokens: int
    interval: int

    def body(self) -> bytes:
        """Return the body for the bare readers; `VllmEngine` builds its own request."""
        return orjson.dumps({"stream_interval": self.interval, "max_tokens": self.tokens})


Read = Callable[[], Awaitable[int]]  # reads one stream to its end, returns its tokens
Reader = Callable[[Load], AbstractAsyncContextManager[Read]]


@asynccontextmanager
async def bare_aiohttp(load: Load) -> AsyncIterator[Read]:
    """Read bytes as they arrive with aiohttp and only count tokens."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def read() -> int:
            count = 0
            async with session.post(load.url, data=load.body()) as response:
                async for data in response.content.iter_any():
                    count += data.count(MARK)
            return count

        yield read


@asynccontextmanager
async def _httpx_over(load: Load, transport: httpx.AsyncBaseTransport) -> AsyncIterator[Read]:
    async with httpx.AsyncClient(transport=transport, timeout=None, trust_env=False) as client:

        async def read() -> int:
            count = 0
            async with client.stream("POST", load.url, content=load.body()) as response:
                async for data in response.aiter_raw():
                    count += data.count(MARK)
            return count

        yield read


def httpx_own(load: Load) -> AbstractAsyncContextManager[Read]:
    """Read bytes as they arrive with httpx and its own transport."""
    return _httpx_over(load, httpx.AsyncHTTPTransport(limits=httpx.Limits()))


@asynccontextmanager
async def httpx_aiohttp(load: Load) -> AsyncIterator[Read]:
    """Read bytes as they arrive with httpx over aiohttp."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with _httpx_over(load, AiohttpTransport(client=session)) as read:
        yield read


@asynccontextmanager
async def vllm_engine(load: Load) -> AsyncIterator[Read]:
    """Read with the service's engine client and a callback that counts.

    It parses events and tokens, checks ids against the text, and applies timeouts.
    """
    syntax = TokenSyntax(prefix="<|s_", suffix="|>", first_code_number=0, codes_per_frame=1)
    engine = VllmEngine(
        load.url, "paced", syntax, limits=EngineLimits(stream_interval=load.interval)
    )
    await engine.start()

    async def read() -> int:
        count = 0

        def on_tokens(numbers: TokenNumbers) -> None:
            nonlocal count
            count += len(numbers)

        await engine.generate("A sentence.", Sampling(max_tokens=load.tokens), on_tokens)
        return count

    yield read
    await engine.close()


READERS: dict[str, Reader] = {
    "bare_aiohttp": bare_aiohttp,
    "httpx": httpx_own,
    "httpx_aiohttp": httpx_aiohttp,
    "vllm_engine": vllm_engine,
}


async def cpu_us(reader: Reader, load: Load, repeats: int) -> float:
    """Return the CPU microseconds for `repeats` times all streams of `load`.

    Creating the client is excluded.
    """
    async with reader(load) as read:
        started_s = time.process_time()
        for _ in range(repeats):
            counts = await asyncio.gather(*(read() for _ in range(load.streams)))
            if set(counts) != {load.tokens}:
                raise RuntimeError(
                    f"streams of {sorted(set(counts))} tokens arrived, not of {load.tokens}"
                )
        return (time.process_time() - started_s) * 1e6


def us_per_token(reader: Reader, load: Load) -> float:
    """Return the CPU microseconds per token of one run."""
    return uvloop.run(cpu_us(reader, load, 1)) / (load.streams * load.tokens)


def measure(load: Load, rounds: int, repeats: int, units: int) -> dict[str, dict[str, float]]:
    """Return the median cost per unit and ratio to the bare reader of the same round, by reader."""
    rows = [
        {
            name: uvloop.run(cpu_us(reader, load, repeats)) / units
            for name, reader in READERS.items()
        }
        for _ in range(rounds)
    ]
    return {
        name: {
            "us": round(statistics.median(row[name] for row in rows), 2),
            "ratio": round(statistics.median(row[name] / row["bare_aiohttp"] for row in rows), 2),
            "ratio_lowest": round(min(row[name] / row["bare_aiohttp"] for row in rows), 2),
            "ratio_highest": round(max(row[name] / row["bare_aiohttp"] for row in rows), 2),
        }
        for name in READERS
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="length of each stream in seconds"
    )
    arguments = parser.parse_args()
    tokens = round(TOKENS_PER_S * arguments.seconds)
    results: dict[str, object] = {"tokens_per_s": TOKENS_PER_S}
    results |= {"streams": arguments.streams, "tokens_a_stream": tokens, "rounds": arguments.rounds}
    with paced_engine("--tokens-per-s", str(TOKENS_PER_S)) as url:
        for interval in (1, 10):
            load = Load(url, arguments.streams, tokens, interval)
            row = measure(load, arguments.rounds, 1, load.streams * tokens)
            results[f"per_token_at_{interval}_an_event"] = row
    with paced_engine("--tokens-per-s", "2000") as url:
        results["per_request"] = measure(Load(url, 10, 1, 1), arguments.rounds, 30, 10 * 30)
    write_result("ingest", results)


if __name__ == "__main__":
    main()
