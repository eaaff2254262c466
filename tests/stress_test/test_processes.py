"""Loads against a server on a real socket: every kind of answer, closed and open loops, several
processes.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from stress_test.figures import Figures, count_errors
from stress_test.load import Load
from stress_test.outcome import Completed, Outcome
from stress_test.processes import ProcessFailed, Run, run
from tests.engine.connected import refusing
from tests.stress_test.server import (
    RATE_HZ,
    Answer,
    nothing,
    pcm,
    refused,
    serving,
    slow,
    streamed,
    streamed_wav,
    tone,
    wav,
    whole,
)

SPEECH = streamed_wav(tone(1.0))
GOOD = streamed(SPEECH[:44], SPEECH[44:10_000], SPEECH[10_000:])


async def loaded(load: Load) -> Run:
    heard: list[Outcome] = []
    done = await run(load, heard.append)
    assert sorted(heard, key=lambda outcome: outcome.number) == list(done.outcomes)
    return done


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused("502 Bad Gateway", "engine_failed"), "status 502 engine_failed"),
        (refused("400 Bad Request", "A line\nof our own"), "status 400"),
        (whole(b"<html>", status="503 Service Unavailable"), "status 503"),
        (whole(b"", status="307 Temporary Redirect\r\nLocation: /v1/audio/speech"), "status 307"),
        (streamed(SPEECH, broken=True), "broken body"),
        (whole(SPEECH[:1000], declared=48_044), "broken body"),
        (nothing, "broken off before a status"),
        (slow(1.0, GOOD), "timed out"),
        (whole(wav(tone(0.0))), "no audio"),
        (whole(b"{}"), "not audio"),
        (whole(wav(np.zeros(RATE_HZ, np.float32))), "silent answer"),
    ],
)
async def test_a_failure_is_counted_by_its_kind(answer: Answer, error: str) -> None:
    async with serving(answer) as server:
        done = await loaded(Load(server.url, concurrency=2, requests=2, timeout_s=0.3))
    assert count_errors(done.outcomes) == {error: 2}
    assert Figures.of(done).heard is None


async def test_nobody_listening_is_a_kind_of_its_own() -> None:
    with refusing() as url:
        done = await loaded(Load(url, concurrency=2, requests=2))
    assert count_errors(done.outcomes) == {"connection refused": 2}


async def test_good_answers_are_heard_among_bad_ones() -> None:
    async with serving(
        GOOD, refused("429 Too Many Requests", "overloaded"), GOOD, nothing
    ) as server:
        figures = Figures.of(await loaded(Load(server.url, concurrency=4, requests=8)))
    assert (figures.requests, figures.failed) == (8, 4)
    assert figures.errors == {"status 429 overloaded": 2, "broken off before a status": 2}
    assert figures.heard
    assert figures.heard.audio_s_mean == 1.0
    assert figures.heard.steps == 0


async def test_what_arrives_late_is_an_underrun_and_a_header_no_first_audio() -> None:
    sound = pcm(tone(0.1))
    answer = streamed(SPEECH[:44], sound, sound, gaps_s=(0.0, 0.15, 0.3))
    async with serving(answer) as server:
        (outcome,) = (await loaded(Load(server.url, concurrency=1, requests=1))).outcomes
    assert isinstance(outcome, Completed)
    assert outcome.first_audio_s >= 0.15
    assert (outcome.underruns, outcome.audio_s) == (1, pytest.approx(0.2))
    assert outcome.underrun_s >= 0.15


async def test_a_join_is_where_the_server_ends_a_chunk() -> None:
    answer = streamed(pcm(tone(0.5)), pcm(tone(0.5) + np.float32(0.4)))
    async with serving(answer) as server:
        (outcome,) = (
            await loaded(Load(server.url, concurrency=1, requests=1, response_format="pcm"))
        ).outcomes
    assert isinstance(outcome, Completed)
    assert (outcome.steps, outcome.seam_steps) == (1, 1)


async def test_a_request_carries_the_key_and_what_was_chosen() -> None:
    async with serving(GOOD) as server:
        await loaded(
            Load(
                server.url,
                texts=("Hello.",),
                voice="lark",
                concurrency=1,
                requests=1,
                api_key="secret",
            )
        )
    assert server.bodies == [
        {"input": "Hello.", "voice": "lark", "response_format": "wav", "stream": True}
    ]
    assert "Authorization: Bearer secret\r\n" in server.heads[0]


@pytest.mark.parametrize(("concurrency", "requests", "most"), [(4, 12, 4), (6, 6, 6)])
async def test_a_closed_loop_keeps_so_many_in_flight(
    concurrency: int, requests: int, most: int
) -> None:
    async with serving(slow(0.05, GOOD)) as server:
        done = await loaded(Load(server.url, concurrency=concurrency, requests=requests))
    assert server.most_in_flight == most
    assert [outcome.number for outcome in done.outcomes] == list(range(requests))


async def test_a_closed_loop_of_some_duration_ends() -> None:
    async with serving(slow(0.05, GOOD)) as server:
        done = await loaded(Load(server.url, concurrency=2, duration_s=0.3, ramp_s=0.1))
    assert 2 <= len(done.outcomes) <= 14
    assert max(outcome.due_s for outcome in done.outcomes) < 0.3
    assert (
        min(outcome.due_s for outcome in done.outcomes[1:]) >= 0.05
    )  # the second place begins later


async def test_an_open_loop_does_not_wait_for_the_server() -> None:
    async with serving(slow(0.5, GOOD)) as server:
        done = await loaded(Load(server.url, rate=40.0, duration_s=0.5, seed=2))
    assert server.most_in_flight == len(done.outcomes) > 8
    assert [outcome.due_s for outcome in done.outcomes] == pytest.approx(
        [request.due_s for request in Load("", rate=40.0, duration_s=0.5, seed=2).request_specs()]
    )


async def test_a_late_start_counts_from_when_it_was_due() -> None:
    blocked = False

    def hold_the_loop(outcome: Outcome) -> None:
        nonlocal blocked
        if not blocked:
            time.sleep(0.3)
        blocked = True

    async with serving(GOOD) as server:
        done = await run(Load(server.url, rate=40.0, duration_s=0.5, seed=2), hold_the_loop)
    figures = Figures.of(done)
    assert figures.generator.late_starts > 3
    assert figures.generator.latest_start_ms > 100
    assert not figures.generator.believable
    assert all(outcome.latency_s >= outcome.late_s for outcome in done.outcomes)


@pytest.mark.process
async def test_several_processes_are_one_load() -> None:
    async with serving(slow(0.2, GOOD), refused("502 Bad Gateway", "engine_failed")) as server:
        done = await loaded(
            Load(server.url, concurrency=6, requests=12, processes=3, api_key="secret")
        )
    assert [outcome.number for outcome in done.outcomes] == list(range(12))
    assert len(done.timings) == 3
    assert count_errors(done.outcomes) == {"status 502 engine_failed": 6}
    assert all("Bearer secret" in head for head in server.heads)


BEGUN = "read load; echo ready; read begin"
ONE_HANGS = f'{BEGUN}; case "$load" in *\'"process": 1,\'*) exec sleep 600;; esac'
SCRIPTS = ["", BEGUN, f"{BEGUN}; echo", ONE_HANGS]


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_process_that_ends_early_is_an_error(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    with refusing() as url:
        async with asyncio.timeout(30):
            with pytest.raises(ProcessFailed):
                await loaded(Load(url, requests=4, processes=2))
