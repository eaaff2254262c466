"""What shares a decode call, simulated: `python -m bench.simulation` (under a minute on one core).

A minute of service for each policy, cost of a call, and load, in virtual time; writes
bench/results/simulation.json, from which `python -m bench.plots` draws. With `--cost` it only prints.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, replace

from bench.cost import COSTS, H200_GRAPHED
from bench.machine import write_result
from bench.policies import POLICIES
from bench.simulation.case import Case, Outcome, on_cpu, simulate
from bench.simulation.engine import Pace

STREAMS = (1, 4, 16, 50, 100, 200)
REQUESTS_PER_S = (10.0, 20.0, 40.0)
CPU_STREAMS = (1, 2, 3, 4)
FAST = Pace(stream_s=0.000026 / 8)  # several engines: more than the GPU below can follow
# A GPU that takes ten times as long for a frame: where padding is what a call costs.
TENTH = replace(H200_GRAPHED, frame_s=10 * H200_GRAPHED.frame_s)
HEADER = "policy load ttfa_p50 p99 added_p50 p99 underruns audio_s/s batch calls/s busy"

Named = tuple[str, str, Case]  # what is said of the policy, of the load, and the case


def loads(case: Case) -> Iterator[tuple[str, Case]]:
    """The case under each load of a GPU."""
    for streams in STREAMS:
        yield f"{streams} streams", replace(case, streams=streams)
    for rate in REQUESTS_PER_S:
        yield f"{rate:.0f} requests/s", replace(case, requests_per_s=rate)


def cases(cost: str) -> Iterator[Named]:
    """Everything that is simulated at one cost."""
    if cost == "cpu":
        for left in (25, 50):
            for streams in CPU_STREAMS:
                yield (
                    f"deadline, left {left}",
                    f"{streams} streams",
                    on_cpu(Case(streams, seconds=200.0), left),
                )
    elif cost == "h200-graphed/10":
        for own_calls in (True, False):
            name = "deadline" if own_calls else "deadline, any lengths"
            for streams in (100, 200, 400):
                yield (
                    name,
                    f"{streams} streams",
                    Case(streams, cost=TENTH, pace=FAST, own_calls=own_calls),
                )
    else:
        for policy in POLICIES:
            for load, case in loads(Case(policy=policy, cost=COSTS[cost])):
                yield policy, load, case


def row(policy: str, load: str, outcome: Outcome) -> str:
    """One line of the table."""
    times = f"{outcome.ttfa_ms_p50:8.0f} {outcome.ttfa_ms_p99:6.0f}"
    times += f" {outcome.added_ms_p50:9.1f} {outcome.added_ms_p99:7.1f}"
    rates = f"{outcome.audio_s_per_s:9.1f} {outcome.batch_mean:5.1f} {outcome.calls_per_s:7.1f} {outcome.busy:4.2f}"
    return f"{policy:22} {load:14} {times} {outcome.underruns_per_stream:9.2f} {rates}"


def main() -> None:
    """Simulate, print, and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cost", choices=(*COSTS, "h200-graphed/10"), action="append", help="only this one"
    )
    asked: list[str] | None = parser.parse_args().cost
    result: dict[str, object] = {"unit": "simulated; times in ms, audio-seconds per second"}
    for cost in asked or (*COSTS, "h200-graphed/10"):
        print(f"{cost}\n{HEADER}")
        rows: list[dict[str, str | float]] = []
        for policy, load, case in cases(cost):
            outcome = simulate(case)
            print(row(policy, load, outcome), flush=True)
            figures = {key: round(value, 3) for key, value in asdict(outcome).items()}
            rows.append({"policy": policy, "load": load, **figures})
        result[cost] = rows
    if asked is None:
        write_result("simulation", result)


if __name__ == "__main__":
    main()
