"""Random clients, good and bad, against the service: each reports the outcome of its request."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from stress_test.random_client import BAD_BODIES, GOOD, KINDS, ClientResult, RandomClient
from stress_test.random_clients import (
    RandomClients,
    count_faulty,
    good_request_succeeds,
    outcomes,
    statuses,
)
from tests.engine.connected import refusing
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import good_request, serving

CODES = tone_codes(300)


def random_client(url: str, seed: int = 1) -> RandomClient:
    return RandomClient(url, random.Random(seed))


@pytest.mark.process
@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_ends_and_leaves_nothing_behind(kind: str) -> None:
    async with serving(FixedEngine(CODES, gap_s=0.001)) as served:
        result = await random_client(served.url, seed=1).run(kind, limit_s=10)
        assert result.kind == kind
        assert result.outcome == {"stream": "200", "whole": "200", "bad": "404"}.get(kind, "left")
        if kind in GOOD:
            assert result.received_bytes > len(CODES) * 960
            assert result.first_s is not None
        await served.settle()
        await good_request(served)


async def test_every_bad_body_is_refused() -> None:
    async with serving(FixedEngine(CODES)) as served:
        for body in BAD_BODIES:
            result = await random_client(served.url).post_and_read("bad", 0.0, body)
            assert result.outcome in ("400", "404"), (body[:40], result)
        await good_request(served)


async def test_a_body_that_is_broken_off_is_told_from_one_that_ends() -> None:
    engine = FixedEngine(CODES, gap_s=0.01, error=ConnectionError("gone"))
    async with serving(engine) as served:
        assert (await random_client(served.url).run("stream", 10)).outcome == "200, broken off"
        assert not await good_request_succeeds(served.url)
        engine.error = None
        assert await good_request_succeeds(served.url)


async def test_who_waits_too_long_has_hung_and_who_finds_nobody_says_so() -> None:
    engine = FixedEngine(CODES, stall_after=0)
    async with serving(engine) as served:
        assert (await random_client(served.url).run("stream", 0.3)).outcome == "hung"
        engine.go_on.set()
    with refusing() as url:
        assert (await random_client(url).run("stream", 5)).outcome == "refused connection"


async def test_a_connection_that_is_reset_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        asking = random_client(url).run("stream", 5)
        task = asyncio.create_task(asking)
        connection, _ = await asyncio.to_thread(listening.accept)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        assert (await task).outcome in ("connection lost", "no answer")


async def test_a_crowd_is_counted_whole() -> None:
    results: list[ClientResult] = []
    async with serving(FixedEngine(CODES)) as served:
        request_count = await RandomClients(
            served.url, per_s=60, shares={"stream": 1, "bad": 1}
        ).run(0.5, results)
        await good_request(served)
    assert request_count == len(results) > 5
    assert sum(statuses(results).values()) == request_count
    assert set(outcomes(results)) == {"stream", "bad"}
    assert count_faulty(results) == sum(outcomes(results)["bad"].values())
