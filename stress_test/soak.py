"""Hours of good, bad and leaving callers, and whether the service stays as it was: `python -m stress_test.soak`.

It starts a service on its embedded engine (or takes one: --url and --pid, on this machine), lets callers come at
random for `--minutes`, and looks at its memory, descriptors, threads and tasks. The result is JSON with the
slopes over the last two thirds of the time; `python -m bench.plots` draws it. Exits 1 if anything grew.
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

from stress_test.callers import Call
from stress_test.crowd import Crowd, one_good, outcomes
from stress_test.machine import describe
from stress_test.service import Service, started

EVERY_S = 5.0
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
MOST_P99_RATIO = 1.2


@dataclass(frozen=True, slots=True)
class Sample:
    """The service at one moment."""

    at_s: float  # since the beginning
    memory_mb: float
    descriptors: int
    threads: int
    tasks: float
    in_flight: float
    queue: float
    device_memory_mb: float

    @classmethod
    async def of(cls, service: Service, at_s: float) -> Sample:
        """Look at a service on this machine."""
        folder, told = Path(f"/proc/{service.pid}"), await service.metrics()
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
            tasks=told.get("tts_tasks", 0.0),
            in_flight=told["tts_requests_in_flight"],
            queue=told["tts_decode_queue"],
            device_memory_mb=round(told.get("tts_decode_device_memory_bytes", 0.0) / 2**20, 2),
        )


FIELDS = [field.name for field in fields(Sample)]


async def watch(service: Service, begun_s: float, samples: list[Sample]) -> None:
    """Look at it until cancelled."""
    while True:
        samples.append(await Sample.of(service, time.monotonic() - begun_s))
        await asyncio.sleep(EVERY_S)


def slope_per_hour(samples: Sequence[Sample], name: str) -> float:
    """The least-squares line through the last two thirds: what starts and caches take belongs to the first."""
    settled = [sample for sample in samples if sample.at_s >= samples[-1].at_s / 3]
    at_h = np.array([sample.at_s for sample in settled]) / 3600
    values = np.array([float(getattr(sample, name)) for sample in settled])
    return float(np.polyfit(at_h, values, 1)[0]) if len(settled) > 1 else 0.0


def p99_ms(calls: Sequence[Call], begin_s: float, end_s: float) -> float:
    """Of the time to the first audio of the streams that were asked for within a time."""
    first = [
        call.first_s for call in calls if call.kind == "stream" and begin_s <= call.begun_s < end_s
    ]
    return float(np.percentile([each for each in first if each], 99)) * 1000 if any(first) else 0.0


def result_of(
    samples: Sequence[Sample], calls: Sequence[Call], begun_s: float, after: Sample
) -> dict[str, object]:
    """The figures of a soak; `after`: when all was let go."""
    third_s = samples[-1].at_s / 3
    start, end = (
        p99_ms(calls, begun_s + part * third_s, begun_s + (part + 1) * third_s) for part in (0, 2)
    )
    first = next(sample for sample in samples if sample.at_s >= third_s)
    grown = {
        name: getattr(samples[-1], name) - getattr(first, name)
        for name in ("memory_mb", "descriptors", "threads")
    }
    return {
        "minutes": round(samples[-1].at_s / 60, 1),
        "requests": len(calls),
        "outcomes": outcomes(calls),
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


def growth(result: dict[str, object], most_mb: float) -> list[str]:
    """What is not as it should be after a soak; memory may settle by so many MB in the last two thirds."""
    grown, after = result["grown_in_the_last_two_thirds"], result["after"]
    assert isinstance(grown, dict)
    assert isinstance(after, dict)
    at_first = result["at_first"]
    assert isinstance(at_first, dict)
    wrong = [f"memory grew by {grown['memory_mb']} MB"] if grown["memory_mb"] > most_mb else []
    for name, slack in (("descriptors", 8), ("threads", 2), ("tasks", 4)):
        wrong += (
            [f"{name}: {after[name]} at the end"] if after[name] > at_first[name] + slack else []
        )
    for name in ("in_flight", "queue"):
        wrong += [f"{name}: {after[name]} when all had left"] if after[name] else []
    found = json.dumps(result["outcomes"])
    return wrong + [
        f"{bad} among the outcomes"
        for bad in ("hung", '"500"', "broken off", "no answer")
        if bad in found
    ]


async def soak(service: Service, minutes: float, per_s: float) -> dict[str, object]:
    """Callers for so long, then rest, and one good request."""
    samples: list[Sample] = []
    calls: list[Call] = []
    begun_s = time.monotonic()
    watching = asyncio.create_task(watch(service, begun_s, samples))
    try:
        begun = await Crowd(service.url, per_s, SHARES).come(minutes * 60, calls)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    settled = await service.settled()
    await asyncio.sleep(EVERY_S)
    after = await Sample.of(service, time.monotonic() - begun_s)
    result = result_of(samples, calls, begun_s, after)
    return {
        **result,
        "lost": begun - len(calls),
        "settled": settled,
        "one_good_request": await one_good(service.url),
    }


async def run(arguments: argparse.Namespace) -> dict[str, object]:
    """On a service of one's own, or on the one that is named."""
    async with AsyncExitStack() as stack:
        if arguments.url:
            service = Service(arguments.url, arguments.pid)
        else:
            service = await stack.enter_async_context(started())
        return await soak(service, arguments.minutes, arguments.per_s)


def main() -> int:
    """The command line; the process's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--per-s", type=float, default=2.0, help="requests a second")
    parser.add_argument("--url", help="of a service on this machine that runs already")
    parser.add_argument("--pid", type=int, help="its process")
    parser.add_argument(
        "--most-mb", type=float, default=30.0, help="by which its memory may settle"
    )
    parser.add_argument("--out", type=Path, help="a file for the JSON")
    arguments = parser.parse_args()
    result = asyncio.run(run(arguments))
    wrong = growth(result, arguments.most_mb)
    text = json.dumps({"machine": describe(PACKAGES), **result, "wrong": wrong}, indent=1)
    print(
        json.dumps({name: value for name, value in result.items() if name != "samples"}, indent=1),
        *wrong,
        sep="\n",
    )
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
