"""The chaos run: the failures that it reports, and a short run."""

from __future__ import annotations

import argparse
import asyncio

import pytest

from stress_test.chaos import failed_checks, run
from stress_test.fake_engine import FakeEngine

GOOD: dict[str, object] = {
    "answers_by_status": {"200": 3, "400": 1, "502": 2},
    "outcomes": {"stream": {"200": 2, "200, broken off": 1}, "resets": {"left": 1}},
    "hung": 0,
    "lost": 0,
    "nothing_left_over": True,
    "one_good_request": True,
}


def test_failures_that_are_told_are_not_wrong() -> None:
    assert failed_checks(GOOD) == []


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"hung": 1}, ["hung"]),
        ({"lost": 2}, ["lost"]),
        ({"nothing_left_over": False}, ["nothing_left_over"]),
        ({"one_good_request": False}, ["one_good_request"]),
        ({"answers_by_status": {"200": 3, "500": 1}}, ["500: the service itself failed"]),
        ({"outcomes": {"bad": {"no answer": 1}}}, ["no answer"]),
        ({"outcomes": {"whole": {"connection lost": 1}}}, ["connection lost"]),
    ],
)
def test_what_must_not_be_is_named(changed: dict[str, object], wrong: list[str]) -> None:
    assert failed_checks({**GOOD, **changed}) == wrong


async def test_the_stand_in_comes_back_where_it_was() -> None:
    async with FakeEngine() as engine:
        url = engine.url
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        await asyncio.sleep(0.05)
        away = asyncio.create_task(engine.restart(0.2))
        assert await reader.read() == b""  # its connections are broken off
        writer.close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        await away
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.close()
        assert engine.url == url


@pytest.mark.slow
def test_a_short_storm_leaves_nothing_behind() -> None:
    result = asyncio.run(run(argparse.Namespace(url=None, seconds=30, per_s=6)))
    assert failed_checks(result) == [], result
    assert result["restarts_of_the_engine"]
    assert result["faults_of_callers"]
