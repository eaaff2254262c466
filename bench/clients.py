"""Clients of a service in a process of their own: traffic as JSON on stdin, what they heard as JSON on stdout."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import aiohttp
import uvloop

from bench.heard import Answer
from bench.traffic import Ask, Traffic
from stress_test.lag import watched

OVERTIME_S = 20.0  # after which an answer counts as failed
START_S = 1.5  # for the process to be there before its traffic begins


@dataclass(frozen=True, slots=True)
class Heard:
    """What the clients heard, and whether they kept up themselves."""

    answers: list[Answer]
    lag_p99_ms: float
    cpu_share: float  # of a core


async def apart(traffic: Traffic) -> Heard:
    """Drive it in a process of its own."""
    pipe = subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.clients", stdin=pipe, stdout=pipe
    )
    output, _ = await process.communicate(traffic.dump().encode())
    said = json.loads(output)
    return Heard(
        [Answer(**answer) for answer in said["answers"]], said["lag_p99_ms"], said["cpu_share"]
    )


async def listen(session: aiohttp.ClientSession, ask: Ask) -> Answer:
    """Ask, and note when each piece of the answer came."""
    body = {"input": ask.text, "response_format": "pcm", "max_tokens": ask.tokens}
    name, asked_s = ask.text.rpartition(" ")[-1], time.monotonic()
    chunks: list[tuple[float, int]] = []
    try:
        async with session.post("/v1/audio/speech", json=body) as answer:
            if answer.status != 200:
                return Answer.failed(name, asked_s, f"status {answer.status}", time.monotonic())
            async for data in answer.content.iter_any():
                chunks.append((time.monotonic(), len(data)))
    except (aiohttp.ClientError, TimeoutError) as exc:
        return Answer.failed(name, asked_s, type(exc).__name__)
    return Answer.of(name, asked_s, chunks, ask.tokens)


async def stream(session: aiohttp.ClientSession, traffic: Traffic, number: int) -> list[Answer]:
    """One stream of a closed loop."""
    answers: list[Answer] = []
    await asyncio.sleep(traffic.begin_s + traffic.stagger_s(number) - time.monotonic())
    for ask in traffic.asks(number):
        if time.monotonic() >= traffic.end_s:
            break
        answers.append(await listen(session, ask))
    return answers


async def arrival(
    session: aiohttp.ClientSession, traffic: Traffic, number: int, after_s: float
) -> list[Answer]:
    """One request of an open loop."""
    await asyncio.sleep(traffic.begin_s + after_s - time.monotonic())
    return [await listen(session, next(traffic.asks(number)))]


async def drive(traffic: Traffic) -> Heard:
    """All of it."""
    begun_s, begun_cpu_s = time.monotonic(), time.process_time()
    timeout = aiohttp.ClientTimeout(total=traffic.warm_s + traffic.counted_s + OVERTIME_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(traffic.url, connector=connector, timeout=timeout) as session,
        watched() as lag,
    ):
        if traffic.streams:
            asking = [stream(session, traffic, number) for number in range(traffic.streams)]
        else:
            asking = [arrival(session, traffic, *item) for item in enumerate(traffic.arrivals_s())]
        answers = [answer for answered in await asyncio.gather(*asking) for answer in answered]
    cpu_share = (time.process_time() - begun_cpu_s) / (time.monotonic() - begun_s)
    return Heard(answers, lag.ms(99), cpu_share)


def main() -> None:
    """Read the traffic, drive it, print what was heard."""
    print(json.dumps(asdict(uvloop.run(drive(Traffic.load(sys.stdin.read()))))))


if __name__ == "__main__":
    main()
