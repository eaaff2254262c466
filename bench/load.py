"""The whole service under load: `python -m bench.load --codec stub`.

The service runs in this process, a fake engine with the token rate of a language model in a second,
the load generator in a third. Each load runs with the codec and with a free codec that takes no
time, whose audio-seconds per second are the upper limit. The result is written to
bench/results/load-CODEC.json; bench/README.md explains its fields.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

import uvloop

from bench.counters import FirstWindows
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.policies import POLICIES, make_queue
from bench.running_service import (
    FREE,
    Served,
    cost_of,
    device_for,
    load_codec,
    serving,
    settings_for,
)
from bench.traffic import Traffic
from bench.trial import Row, measure

SHOWN = (
    "audio_s_per_s",
    "ratio_to_free",
    "first_window_ms_p50",
    "first_window_ms_p99",
    "added_ms_p99",
    "mean_batch",
)
SHOWN += ("underrun_requests", "requests", "failures", "service_cpu_share", "machine_busy_share")
SHOWN += ("engine_late_share", "client_lag_ms_p99", "believable")


def loads(arguments: argparse.Namespace) -> list[Traffic]:
    """Build the closed loops, then the open loops."""
    common = {"warm_s": arguments.warm, "counted_s": arguments.seconds, "seed": arguments.seed}
    closed = [Traffic(**common, streams=streams) for streams in arguments.streams]
    return closed + [Traffic(**common, rate=rate) for rate in arguments.rates]


async def measure_all(arguments: argparse.Namespace, engine_url: str) -> list[Row]:
    """Run every load on every service, the free codec first."""
    rows: list[Row] = []
    windows = FirstWindows()
    async with AsyncExitStack() as stack:
        stack.enter_context(windows.recorded())
        services: list[Served] = []
        device = device_for(arguments.codec, arguments.device)
        for name, policies in ((FREE, POLICIES[:1]), (arguments.codec, arguments.policy)):
            cost = cost_of(name, arguments.cost)
            codec = load_codec(cost, device)
            settings = settings_for(engine_url, name, device, arguments.interval)
            for policy in policies:
                url = await stack.enter_async_context(
                    serving(settings, codec, partial(make_queue, policy))
                )
                services.append(Served(url, name, policy))
        for traffic in loads(arguments):
            for attempt in range(1, arguments.tries + 1):
                compared = await compare(services, engine_url, traffic, windows)
                if attempt == arguments.tries or all(row["believable"] for row in compared):
                    rows += [{**row, "attempt": attempt} for row in compared]
                    break
    return rows


async def compare(
    services: Sequence[Served], engine_url: str, traffic: Traffic, windows: FirstWindows
) -> list[Row]:
    """Run one load on each service and compute ratios to the first one."""
    rows: list[Row] = []
    for served in services:
        row = await measure(served, engine_url, traffic, windows)
        rows.append(row)
        row["ratio_to_free"] = round(row["audio_s_per_s"] / rows[0]["audio_s_per_s"], 4)
        print(f"{traffic.streams or traffic.rate} {served.codec} {served.policy}:", end=" ")
        print(*(f"{name} {row[name]}" for name in SHOWN), sep=", ", flush=True)
        await asyncio.sleep(0.5)
    return rows


def numbers(text: str) -> list[int]:
    """Parse integers separated by commas."""
    return [int(number) for number in text.split(",") if number]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codec", choices=("free", "stub", "neucodec"), default="stub")
    parser.add_argument(
        "--cost", default="h200-graphed", help="cost model of the stub codec: see bench.cost"
    )
    parser.add_argument("--device", default="auto", help="DEVICE of neucodec")
    parser.add_argument("--policy", nargs="+", choices=POLICIES, default=[POLICIES[0]])
    parser.add_argument(
        "--streams",
        type=numbers,
        default=numbers("1,4,16,50,100,200"),
        help="numbers of clients of the closed loops",
    )
    parser.add_argument(
        "--rates",
        type=numbers,
        default=numbers("10,20,40"),
        help="requests per second of the open loops",
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="measured seconds of each load")
    parser.add_argument("--warm", type=float, default=3.0, help="seconds before the measurement")
    parser.add_argument("--interval", type=int, default=5, help="STREAM_INTERVAL")
    parser.add_argument(
        "--tries", type=int, default=1, help="tries of a load until its figures are believable"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--switch-ms", type=float, default=5.0, help="switch interval of the GIL in milliseconds"
    )
    parser.add_argument("--name", help="name of the result; default: load-CODEC")
    arguments = parser.parse_args()
    sys.setswitchinterval(arguments.switch_ms / 1000)
    started_s = time.monotonic()
    with paced_engine() as engine_url:
        rows = uvloop.run(measure_all(arguments, engine_url))
    result: dict[str, object] = {**vars(arguments), "took_s": round(time.monotonic() - started_s)}
    write_result(arguments.name or f"load-{arguments.codec}", {**result, "rows": rows})


if __name__ == "__main__":
    main()
