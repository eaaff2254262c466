"""Soak test for leaks: `python -m stress_test.soak`.

The test starts a service with its embedded engine, or tests a running one on this machine (--url
and --pid). Correct, faulty and disconnecting clients arrive at random for `--minutes`, while the
test samples memory, descriptors, threads and tasks of the service. The result is JSON with the
slopes over the last two thirds of the time; `python -m bench.plots` draws it. The exit status is 1
if anything grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from stress_test.machine import describe
from stress_test.percentile import percentile
from stress_test.random_client import ClientResult
from stress_test.random_clients import RandomClients, good_request_succeeds, outcomes
from stress_test.service import Service, started

SAMPLE_INTERVAL_S = 5.0  # interval of the samples
PACKAGES = ("torch", "fastapi", "uvicorn")
SHARES = {
    "stream": 50.0,
    "whole": 15.0,
    "bad": 15.0,
    "leaves early": 5.0,
    "leaves midway": 5.0,
    "resets": 5.0,
    "slow": 2.0,
    "half a request": 3.0,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Resources and load of the service at one moment."""

    at_s: float  # since the start of the soak
    memory_mb: float
    descriptors: int
    threads: int
    tasks: float
    in_flight: float
    queue: float
    device_memory_mb: float

    @classmethod
    async def of(cls, service: Service, at_s: float) -> Sample:
        """Sample a service on this machine."""
        folder = Path(f"/proc/{service.pid}")
        metrics = await service.metrics()
        lines = (folder / "status").read_text(encoding="ascii").splitlines()
        status = {
            line.split(":")[0]: line.split()[1]
            for line in lines
            if line.startswith(("VmRSS", "Threads"))
        }
        return cls(
            at_s=round(at_s, 1),
            memory_mb=round(int(status["VmRSS"]) / 1024, 2),
            descriptors=len(list((folder / "fd").iterdir())),
            threads=int(status["Threads"]),
            tasks=metrics.get("tts_tasks", 0.0),
            in_flight=metrics["tts_requests_in_flight"],
            queue=metrics["tts_decode_queue"],
            device_memory_mb=round(metrics.get("tts_decode_device_memory_bytes", 0.0) / 2**20, 2),
        )


FIELDS = [field.name for field in fields(Sample)]


async def watch(service: Service, started_s: float, samples: list[Sample]) -> None:
    """Append a sample every SAMPLE_INTERVAL_S until cancelled."""
    while True:
        samples.append(await Sample.of(service, time.monotonic() - started_s))
        await asyncio.sleep(SAMPLE_INTERVAL_S)


def slope_per_hour(samples: Sequence[Sample], name: str) -> float:
    """Return the least-squares slope over the last two thirds of the time.

    The first third contains the growth of startup and caches.
    """
    settled = [sample for sample in samples if sample.at_s >= samples[-1].at_s / 3]
    at_h = np.array([sample.at_s for sample in settled]) / 3600
    values = np.array([float(getattr(sample, name)) for sample in settled])
    return float(np.polyfit(at_h, values, 1)[0]) if len(settled) > 1 else 0.0


def p99_ms(results: Sequence[ClientResult], begin_s: float, end_s: float) -> float:
    """Return the p99 time to first audio of the streams requested in [begin, end)."""
    streams = [
        result
        for result in results
        if result.kind == "stream" and begin_s <= result.started_s < end_s
    ]
    return percentile([result.first_s for result in streams if result.first_s] or [0.0], 99) * 1000


def compute_result(
    samples: Sequence[Sample], results: Sequence[ClientResult], started_s: float, after: Sample
) -> dict[str, object]:
    """Compute the figures of a soak; `after`: sample after all requests have ended."""
    third_s = samples[-1].at_s / 3
    start, end = (
        p99_ms(results, started_s + part * third_s, started_s + (part + 1) * third_s)
        for part in (0, 2)
    )
    first = next(sample for sample in samples if sample.at_s >= third_s)
    grown = {
        name: getattr(samples[-1], name) - getattr(first, name)
        for name in ("memory_mb", "descriptors", "threads")
    }
    return {
        "minutes": round(samples[-1].at_s / 60, 1),
        "requests": len(results),
        "outcomes": outcomes(results),
        "slopes_per_hour": {
            name: round(slope_per_hour(samples, name), 2)
            for name in (
                "memory_mb",
                "descriptors",
                "threads",
                "tasks",
                "in_flight",
                "device_memory_mb",
            )
        },
        "grown_in_the_last_two_thirds": {name: round(value, 2) for name, value in grown.items()},
        "memory_mb": {
            "start": samples[0].memory_mb,
            "settled": first.memory_mb,
            "end": samples[-1].memory_mb,
        },
        "first_audio_ms_p99": {"first_third": round(start, 1), "last_third": round(end, 1)},
        "p99_ratio": round(end / start, 2) if start else 0.0,
        "at_first": asdict(samples[0]),
        "after": asdict(after),
        "samples": {
            "fields": FIELDS,
            "rows": [[getattr(sample, name) for name in FIELDS] for sample in samples],
        },
    }


def find_growth(result: dict[str, object], max_growth_mb: float) -> list[str]:
    """Return the problems found; `max_growth_mb`: permitted memory growth.

    Memory growth is measured over the last two thirds of the time.
    """
    grown, after = result["grown_in_the_last_two_thirds"], result["after"]
    assert isinstance(grown, dict)
    assert isinstance(after, dict)
    at_first = result["at_first"]
    assert isinstance(at_first, dict)
    problems: list[str] = []
    if grown["memory_mb"] > max_growth_mb:
        problems.append(f"memory grew by {grown['memory_mb']} MB")
    for name, slack in (("descriptors", 8), ("threads", 2), ("tasks", 4)):
        if after[name] > at_first[name] + slack:
            problems.append(f"{name}: {after[name]} at the end")
    for name in ("in_flight", "queue"):
        if after[name]:
            problems.append(f"{name}: {after[name]} after all clients had disconnected")
    found = json.dumps(result["outcomes"])
    return problems + [
        f"{bad} among the outcomes"
        for bad in ("hung", '"500"', "broken off", "no answer")
        if bad in found
    ]


async def soak(service: Service, minutes: float, per_s: float) -> dict[str, object]:
    """Run clients for `minutes`, wait until the service is idle, send one good request."""
    samples: list[Sample] = []
    results: list[ClientResult] = []
    started_s = time.monotonic()
    watching = asyncio.create_task(watch(service, started_s, samples))
    try:
        request_count = await RandomClients(service.url, per_s, SHARES).run(minutes * 60, results)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    settled = await service.settled()
    await asyncio.sleep(SAMPLE_INTERVAL_S)
    after = await Sample.of(service, time.monotonic() - started_s)
    result = compute_result(samples, results, started_s, after)
    return {
        **result,
        "lost": request_count - len(results),
        "settled": settled,
        "one_good_request": await good_request_succeeds(service.url),
    }


async def run(arguments: argparse.Namespace) -> dict[str, object]:
    """Soak the service at `--url`, or start one."""
    async with AsyncExitStack() as stack:
        if arguments.url:
            service = Service(arguments.url, arguments.pid)
        else:
            service = await stack.enter_async_context(started())
        return await soak(service, arguments.minutes, arguments.per_s)


def main() -> int:
    """Run the command line and return the exit status of the process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--per-s", type=float, default=2.0, help="requests a second")
    parser.add_argument("--url", help="URL of a running service on this machine")
    parser.add_argument("--pid", type=int, help="process id of that service")
    parser.add_argument("--most-mb", type=float, default=30.0, help="permitted memory growth in MB")
    parser.add_argument("--out", type=Path, help="write the JSON to this file")
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments))
    problems = find_growth(result, arguments.most_mb)
    text = json.dumps({"machine": describe(PACKAGES), **result, "wrong": problems}, indent=1)
    print(
        json.dumps({name: value for name, value in result.items() if name != "samples"}, indent=1),
        *problems,
        sep="\n",
    )
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
