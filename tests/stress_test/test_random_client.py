"""Random clients, good and bad, against the service: each reports the outcome of its request."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from stress_test.random_client import BAD_BODIES, GOOD, KINDS, Call, Caller
from stress_test.random_clients import Crowd, faults, one_good, outcomes, statuses
from tests.engine.connected import refusing
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import good_request, serving

CODES = tone_codes(300)


def caller(url: str, seed: int = 1) -> Caller:
    return Caller(url, random.Random(seed))


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_ends_and_leaves_nothing_behind(kind: str) -> None:
    async with serving(FixedEngine(CODES, gap_s=0.001)) as served:
        call = await caller(served.url, seed=1).call(kind, limit_s=10)
        assert call.kind == kind
        assert call.outcome == {"stream": "200", "whole": "200", "bad": "404"}.get(kind, "left")
        if kind in GOOD:
            assert call.received_bytes > len(CODES) * 960
            assert call.first_s is not None
        await served.settle()
        await good_request(served)


async def test_every_bad_body_is_refused() -> None:
    async with serving(FixedEngine(CODES)) as served:
        for body in BAD_BODIES:
            call = await caller(served.url).ask("bad", 0.0, body)
            assert call.outcome in ("400", "404"), (body[:40], call)
        await good_request(served)


async def test_a_body_that_is_broken_off_is_told_from_one_that_ends() -> None:
    engine = FixedEngine(CODES, gap_s=0.01, error=ConnectionError("gone"))
    async with serving(engine) as served:
        assert (await caller(served.url).call("stream", 10)).outcome == "200, broken off"
        assert not await one_good(served.url)
        engine.error = None
        assert await one_good(served.url)


async def test_who_waits_too_long_has_hung_and_who_finds_nobody_says_so() -> None:
    engine = FixedEngine(CODES, stall_after=0)
    async with serving(engine) as served:
        assert (await caller(served.url).call("stream", 0.3)).outcome == "hung"
        engine.go_on.set()
    with refusing() as url:
        assert (await caller(url).call("stream", 5)).outcome == "refused connection"


async def test_a_connection_that_is_reset_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        asking = caller(url).call("stream", 5)
        task = asyncio.create_task(asking)
        connection, _ = await asyncio.to_thread(listening.accept)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        assert (await task).outcome in ("connection lost", "no answer")


async def test_a_crowd_is_counted_whole() -> None:
    calls: list[Call] = []
    async with serving(FixedEngine(CODES)) as served:
        begun = await Crowd(served.url, per_s=60, shares={"stream": 1, "bad": 1}).come(0.5, calls)
        await good_request(served)
    assert begun == len(calls) > 5
    assert sum(statuses(calls).values()) == begun
    assert set(outcomes(calls)) == {"stream", "bad"}
    assert faults(calls) == sum(outcomes(calls)["bad"].values())
