"""One load on one service: figures of the clients, the service, the engine and the machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import aiohttp

from bench.counters import Counters, FirstWindows
from bench.running_service import Served
from bench.traffic import Traffic, complete
from stress_test.load import Load
from stress_test.loop_lag import measure_lag
from stress_test.outcome import Completed, Failed, Outcome
from stress_test.percentile import percentile
from stress_test.processes import PAUSE_S, Process
from stress_test.throughput import TimedAudio, audio_rate

# Above these values the machine was too small for the load.
MAX_LATE_SHARE = 0.05
MAX_CLIENT_LAG_MS = 10.0
MAX_BUSY_SHARE = 0.9
Row = dict[str, Any]  # JSON fields of a result


async def measure(served: Served, engine_url: str, traffic: Traffic, windows: FirstWindows) -> Row:
    """Run one load on one service and return its row."""
    load = traffic.load(served.url)
    received: list[Outcome] = []
    async with Process(load) as process, asyncio.TaskGroup() as group:
        await process.ready()
        await _pace_report(engine_url)
        load_begin_s = time.monotonic() + PAUSE_S
        running = group.create_task(process.run(load_begin_s, received.append))
        await asyncio.sleep(load_begin_s + traffic.warm_s - time.monotonic())
        before = Counters.now()
        end_s = load_begin_s + traffic.length_s
        async with measure_lag() as lag:
            await asyncio.sleep(end_s - time.monotonic())
        counted = Counters.now().since(before)
    timing = running.result()
    engine = await _pace_report(engine_url)
    begin_s = before.clock_s
    warm_s = begin_s - load_begin_s
    outcomes = list(complete(load, received))
    completed = [outcome for outcome in outcomes if isinstance(outcome, Completed)]
    measured = [outcome for outcome in outcomes if outcome.due_s >= warm_s]
    rate = audio_rate(map(TimedAudio.of, completed), warm_s, traffic.length_s)
    row: Row = {
        "streams": traffic.streams or None,
        "requests_per_s": traffic.rate or None,
        "codec": served.codec,
        "policy": served.policy,
        **request_figures(load, load_begin_s, measured, engine),
        "audio_s_per_s": round(rate, 2),
        **windows.row(begin_s, end_s),
        **counted.row(),
        "service_loop_lag_ms_p99": lag.ms(99),
        "tokens_per_s": round(counted.tokens / counted.clock_s),
        "engine_late_share": round(engine["late_steps"] / max(engine["steps"], 1), 4),
        "engine_lost_s": round(engine["lost_s"], 3),
        "engine_cpu_share": round(engine["cpu_share"], 3),
        "client_lag_ms_p99": timing.lag_ms_p99,
        "client_cpu_share": timing.cpu_share,
    }
    row["believable"] = believable(row)
    return row


def request_figures(load: Load, begin_s: float, outcomes: Sequence[Outcome], engine: Row) -> Row:
    """Return the figures of the counted requests.

    The added time counts from the moment at which the engine sent the codes of the first window.
    `begin_s`: start of the load by time.monotonic().
    """
    answered = [outcome for outcome in outcomes if isinstance(outcome, Completed)]
    sent_s = {word_of(prompt): at_s for prompt, at_s in engine["first_windows"].items()}
    first_ms = [outcome.first_audio_s * 1000 for outcome in answered]
    factors = [outcome.real_time_factor for outcome in answered]
    added_ms: list[float] = []
    for outcome in answered:
        word = load.request(outcome.number).text.rpartition(" ")[-1]
        if word in sent_s:
            first_s = begin_s + outcome.due_s + outcome.first_audio_s
            added_ms.append((first_s - sent_s[word]) * 1000)
    gaps = sum(outcome.underruns for outcome in answered)
    return {
        "requests": len(outcomes),
        "failures": len(outcomes) - len(answered),
        "errors": dict(
            Counter(outcome.error for outcome in outcomes if isinstance(outcome, Failed))
        ),
        **{
            f"first_audio_ms_p{percent}": round(percentile(first_ms, percent), 1)
            for percent in (50, 99)
        },
        **{f"added_ms_p{percent}": round(percentile(added_ms, percent), 1) for percent in (50, 99)},
        **{f"rtf_p{percent}": round(percentile(factors, percent), 3) for percent in (50, 99)},
        "underrun_requests": sum(outcome.underruns > 0 for outcome in answered),
        "gaps_per_request": round(gaps / max(len(answered), 1), 4),
        "silence_s": round(sum(outcome.underrun_s for outcome in answered), 3),
    }


def word_of(prompt: str) -> str:
    """Return the unique word at the end of the text in a prompt."""
    return prompt.rpartition("<")[0].rpartition(" ")[-1]


def believable(row: Row) -> bool:
    """Return True if neither engine nor clients nor machine limited the figures."""
    return (
        row["engine_late_share"] <= MAX_LATE_SHARE
        and row["client_lag_ms_p99"] <= MAX_CLIENT_LAG_MS
        and row["machine_busy_share"] <= MAX_BUSY_SHARE
    )


async def _pace_report(engine_url: str) -> Row:
    """Return how well the engine kept its token rate since the last call."""
    async with aiohttp.ClientSession() as session, session.get(engine_url) as answer:
        return json.loads(await answer.read())
