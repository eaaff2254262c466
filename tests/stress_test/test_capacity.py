"""The load is raised until streams have gaps; the capacity report follows from it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress_test.__main__ import main
from stress_test.capacity import EDGE, Level, Slo, highest_sustained, level_load, search
from stress_test.capacity_report import CapacityReport, format_level
from stress_test.figures import Figures
from stress_test.generator import Timing
from stress_test.load import Load
from stress_test.outcome import Outcome
from stress_test.processes import Run, run
from tests.stress_test.outcomes import completed, failed
from tests.stress_test.server import Answer, refused, serving, streamed_wav, tone, whole

SPEECH_S = 0.4
GOOD = whole(streamed_wav(tone(SPEECH_S)))
REFUSED = refused("429 Too Many Requests", "overloaded")
IN_TIME, LATE = Timing(1.0, 2.0, 0.1), Timing(90.0, 99.0, 1.0)
PROMISE = Slo(first_audio_s=1.0, underrun_share=0.5)


def figures(*outcomes: Outcome, timing: Timing = IN_TIME) -> Figures:
    return Figures.of(Run(outcomes, (timing,), 10.0))


def level(
    listeners: int, *, broken: str | None = None, timing: Timing = IN_TIME, rate: float = 2.5
) -> Level:
    return Level(listeners, rate, 3, figures(completed(), timing=timing), broken)


@given(st.integers(0, 700), st.integers(1, 600))
async def test_the_search_ends_close_to_what_a_server_carries(capacity: int, most: int) -> None:
    async def measure(listeners: int) -> Level:
        return level(listeners, broken="underruns" if listeners > capacity else None)

    levels = await search(measure, most)
    tried = [tried.listeners for tried in levels]
    found = highest_sustained(levels)
    assert len(tried) == len(set(tried)) <= 20
    assert max(tried) <= most
    if found is None:
        assert capacity == 0
    else:
        assert found.listeners <= capacity
        assert found.listeners == most or (capacity + 1) <= max(
            found.listeners + 1, EDGE * found.listeners
        )


async def test_a_load_that_was_late_itself_ends_the_search_and_carries_nothing() -> None:
    async def measure(listeners: int) -> Level:
        return level(listeners, timing=LATE if listeners == 4 else IN_TIME)

    levels = await search(measure, 64)
    assert [tried.listeners for tried in levels] == [1, 2, 4]
    assert highest_sustained(levels) == levels[1]
    assert CapacityReport(PROMISE, levels, 64).at_least
    assert "the load generator was too slow" in format_level(levels[-1])


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ((completed(), completed(underruns=1)), None),
        ((completed(), completed(underruns=1), completed(underruns=2)), "underruns"),
        ((completed(), completed(first_audio_s=1.2)), "first audio"),
        ((completed(), failed("timed out"), failed("timed out")), "timed out (2 of 3)"),
        ((), "no requests"),
    ],
)
def test_a_broken_promise_is_named(outcomes: tuple[Outcome, ...], said: str | None) -> None:
    assert PROMISE.missed_by(figures(*outcomes)) == said


def test_a_level_counts_the_audio_of_its_steady_part_and_the_most_at_once() -> None:
    load = level_load(Load("", duration_s=8.0, processes=4), 3)
    assert (load.ramp_s, load.concurrency, load.processes, load.listening) == (2.0, 3, 3, True)
    outcomes = tuple(
        completed(number=n, due_s=due_s, latency_s=4.0) for n, due_s in enumerate((0.0, 1.0, 5.0))
    )
    found = Level.of(load, Run(outcomes, (IN_TIME,), 9.0), PROMISE)
    assert found.audio_s_per_s == pytest.approx((2 / 4 + 3 / 4 + 3 / 4) * 5.0 / 6, abs=1e-3)
    assert (found.listeners, found.in_flight, found.broken) == (3, 2, None)


def test_an_interrupted_level_is_none() -> None:
    with pytest.raises(KeyboardInterrupt):
        Level.of(Load("", duration_s=1.0), Run((), (), 0.0, interrupted=True), PROMISE)


def test_what_to_set_and_what_an_hour_costs() -> None:
    capacity = CapacityReport(
        PROMISE,
        [level(10), level(20, rate=20.0), level(40, broken="underruns")],
        64,
        price=3.0,
        use=0.3,
    )
    said = "\n".join(capacity.report())
    assert "Listeners: 20 (20.0 audio-seconds per second, at most 3 requests in flight)" in said
    assert "Recommended Load: 14 (the chart's streamsPerReplica: 2)" in said
    assert "MAX_CONCURRENT_REQUESTS=20, vLLM's --max-num-seqs 40" in said
    assert "Cost Per Hour Of Audio: 0.5000 (3 per hour, utilisation 30%)" in said
    assert "Cost" not in "\n".join(replace(capacity, price=None).report())
    assert "Cost" not in "\n".join(replace(capacity, levels=[level(10, rate=0.0)]).report())
    open_ended = "\n".join(replace(capacity, levels=capacity.levels[:2]).report())
    assert "Listeners: at least 20" in open_ended
    assert "Audio: at most 0.5" in open_ended


async def test_a_listener_hears_an_answer_to_its_end_and_one_who_was_refused_waits() -> None:
    async def due(answer: Answer, seconds: float) -> list[float]:
        async with serving(answer) as server:
            done = await run(
                Load(server.url, concurrency=1, duration_s=seconds, listening=True), lambda _: None
            )
        return [outcome.due_s for outcome in done.outcomes]

    heard, waited = await asyncio.gather(due(GOOD, 1.0), due(REFUSED, 1.5))
    assert 2 <= len(heard) <= 3
    assert all(later - earlier >= SPEECH_S for earlier, later in pairwise(heard))
    assert len(waited) == 2
    assert waited[1] - waited[0] >= 1.0


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (GOOD, 0, "Listeners: at least 2"),
        (REFUSED, 1, "The server does not sustain even one listener"),
    ],
)
async def test_the_command_says_what_it_found(
    answer: Answer, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "a.json"
    options = ["--warmup", "1", "--duration", "0.5", "--most", "2", "--json", str(result)]
    async with serving(answer) as server:
        assert await asyncio.to_thread(main, ["capacity", "--url", server.url, *options]) == status
    assert said in capsys.readouterr().out
    written = json.loads(result.read_text(encoding="utf-8"))
    assert written["carried_listeners"] == (2 if status == 0 else 0)
    assert [tried["listeners"] for tried in written["levels"]] == ([1, 2] if status == 0 else [1])


@pytest.mark.parametrize(
    "arguments", [["--underruns", "2"], ["--use", "0"], ["--json", "/nowhere/at/all.json"]]
)
def test_what_cannot_be_ends_with_a_message(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["capacity", *arguments])
    assert ended.value.code == 2
    assert arguments[0].strip("-") in capsys.readouterr().err
