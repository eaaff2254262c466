"""One load on one service: figures of the clients, the service, the engine and the machine."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import aiohttp

from bench.clients import START_S, apart
from bench.counters import Counters, FirstWindows
from bench.heard import Answer, percentile
from bench.served import Served
from bench.traffic import Traffic
from stress_test.lag import watched
from stress_test.throughput import Answered, audio_rate

# Above these values the machine was too small for the load.
LATE_SHARE = 0.05
CLIENT_LAG_MS = 10.0
BUSY_SHARE = 0.9
Row = dict[str, Any]  # JSON fields of a result


async def measure(served: Served, engine_url: str, traffic: Traffic, windows: FirstWindows) -> Row:
    """Run one load on one service and return its row."""
    traffic = replace(traffic, url=served.url, begin_s=time.monotonic() + START_S)
    await _account(engine_url)
    hearing = asyncio.create_task(apart(traffic))
    await asyncio.sleep(traffic.begin_s + traffic.warm_s - time.monotonic())
    before = Counters.now()
    async with watched() as lag:
        await asyncio.sleep(traffic.end_s - time.monotonic())
    counted = Counters.now().since(before)
    heard = await hearing
    engine = await _account(engine_url)
    begin_s = before.clock_s
    row: Row = {
        "streams": traffic.streams or None,
        "requests_per_s": traffic.rate or None,
        "codec": served.codec,
        "policy": served.policy,
        **listened([answer for answer in heard.answers if answer.asked_s >= begin_s], engine),
        "audio_s_per_s": round(audio_rate(answered(heard.answers), begin_s, traffic.end_s), 2),
        **windows.row(begin_s, traffic.end_s),
        **counted.row(),
        "service_loop_lag_ms_p99": lag.ms(99),
        "tokens_per_s": round(counted.tokens / counted.clock_s),
        "engine_late_share": round(engine["late_steps"] / max(engine["steps"], 1), 4),
        "engine_lost_s": round(engine["lost_s"], 3),
        "engine_cpu_share": round(engine["cpu_share"], 3),
        "client_lag_ms_p99": heard.lag_p99_ms,
        "client_cpu_share": round(heard.cpu_share, 3),
    }
    row["believable"] = believable(row)
    return row


def answered(answers: Iterable[Answer]) -> Iterator[Answered]:
    """Answers, for what matters to a rate."""
    return (Answered(answer.asked_s, answer.end_s, answer.audio_s) for answer in answers)


def listened(answers: Sequence[Answer], engine: Row) -> Row:
    """Return the figures of the counted requests.

    The added time counts from the moment at which the engine sent the codes of the first window.
    """
    good = [answer for answer in answers if not answer.failure]
    sent_s = {word_of(prompt): at_s for prompt, at_s in engine["first_windows"].items()}
    first_ms = [(answer.first_s - answer.asked_s) * 1000 for answer in good]
    added_ms = [
        (answer.first_s - sent_s[answer.word]) * 1000 for answer in good if answer.word in sent_s
    ]
    gaps = sum(answer.gaps for answer in good)
    return {
        "requests": len(answers),
        "failures": len(answers) - len(good),
        **{
            f"first_audio_ms_p{percent}": round(percentile(first_ms, percent), 1)
            for percent in (50, 99)
        },
        **{f"added_ms_p{percent}": round(percentile(added_ms, percent), 1) for percent in (50, 99)},
        "underrun_requests": sum(answer.gaps > 0 for answer in good),
        "gaps_per_request": round(gaps / max(len(good), 1), 4),
        "silence_s": round(sum(answer.silence_s for answer in good), 3),
    }


def word_of(prompt: str) -> str:
    """Return the unique word at the end of the text in a prompt."""
    return prompt.rpartition("<")[0].rpartition(" ")[-1]


def believable(row: Row) -> bool:
    """Return True if neither engine nor clients nor machine limited the figures."""
    return (
        row["engine_late_share"] <= LATE_SHARE
        and row["client_lag_ms_p99"] <= CLIENT_LAG_MS
        and row["machine_busy_share"] <= BUSY_SHARE
    )


async def _account(engine_url: str) -> Row:
    """Return how well the engine kept its token rate since the last call."""
    async with aiohttp.ClientSession() as session, session.get(engine_url) as answer:
        return json.loads(await answer.read())
