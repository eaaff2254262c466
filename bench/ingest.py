"""What reading the engine costs: `python -m bench.ingest` (about three minutes).

50 streams of 380 tokens a second, at 1 and at 10 tokens an event, from an engine in another process.
For each way of reading: the CPU time of this process per token, and its ratio to a bare aiohttp
reader in the same round; then the CPU time per request, with answers of one token. Medians of the
rounds go to bench/results/ingest.json. Everything runs on uvloop.
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

from app.engine import Sampling, TokenNumbers
from app.engine.vllm import EngineLimits, VllmEngine
from app.profiles import TokenSyntax
from bench.machine import write_result
from bench.paced_engine import paced_engine

TOKENS_PER_S = 380
MARK = b"<|s_"  # what the bare readers count


@dataclass(frozen=True, slots=True)
class Load:
    """`streams` at once, each of `tokens` tokens, `interval` of them an event."""

    url: str
    streams: int
    tokens: int
    interval: int

    def body(self) -> bytes:
        """The least that the paced engine needs; the service's engine writes its own request."""
        return orjson.dumps({"stream_interval": self.interval, "max_tokens": self.tokens})


Read = Callable[[], Awaitable[int]]  # one stream, from request to end; the number of its tokens
Reader = Callable[[Load], AbstractAsyncContextManager[Read]]


@asynccontextmanager
async def bare_aiohttp(load: Load) -> AsyncIterator[Read]:
    """Bytes as they come, and nothing done with them but counting tokens."""
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
    """httpx with its own transport, and bytes as they come."""
    return _httpx_over(load, httpx.AsyncHTTPTransport(limits=httpx.Limits()))


@asynccontextmanager
async def httpx_aiohttp(load: Load) -> AsyncIterator[Read]:
    """httpx over aiohttp, and bytes as they come."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with _httpx_over(load, AiohttpTransport(client=session)) as read:
        yield read


@asynccontextmanager
async def vllm_engine(load: Load) -> AsyncIterator[Read]:
    """The service's own: events, tokens, the check of ids against text, clocks, and a callback that counts."""
    syntax = TokenSyntax(prefix="<|s_", suffix="|>", first=0, slots=1)
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
    """CPU microseconds of this process, making the client aside, for `repeats` times all streams of `load`."""
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
    """CPU microseconds for each token of one run."""
    return uvloop.run(cpu_us(reader, load, 1)) / (load.streams * load.tokens)


def measure(load: Load, rounds: int, repeats: int, units: int) -> dict[str, dict[str, float]]:
    """For each reader the median cost of a unit, and the median ratio to the bare reader of its round."""
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
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each stream")
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
