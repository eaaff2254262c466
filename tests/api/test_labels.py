"""Metrics do not grow with the values that clients send."""

from __future__ import annotations

import asyncio
import json
import random
import re

import pytest
from prometheus_client import REGISTRY

from tests.fakes import FixedEngine
from tests.live_server import HELLO, SPEECH, Served, good_request, serving


def series() -> set[str]:
    """Every sample that /metrics shows, by name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}"
        for metric in REGISTRY.collect()
        for sample in metric.samples
    }


async def ask_all(served: Served, bodies: list[bytes]) -> list[bytes]:
    """Ask for all of them over one connection, a few at a time; their statuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    received = b""
    async with asyncio.timeout(60):
        for begin in range(0, len(bodies), 20):
            for body in bodies[begin : begin + 20]:
                head = f"POST {SPEECH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                head += f"content-length: {len(body)}\r\nx-request-id: {body[-20:-4].hex()}\r\n\r\n"
                writer.write(head.encode() + body)
            while received.count(b"HTTP/1.1 ") < min(len(bodies), begin + 20):
                data = await reader.read(1_000_000)
                assert data, "the connection was closed"
                received += data
    writer.close()
    await writer.wait_closed()
    return re.findall(rb"HTTP/1.1 (\d+)", received)


@pytest.mark.process
@pytest.mark.fault(40)
async def test_a_thousand_random_voices_add_no_metric() -> None:
    draw = random.Random(40)
    names = [f"voice-{draw.getrandbits(64):016x}" for _ in range(1_000)]
    asked = [{"voice": name} for name in names[:700]] + [
        {"voice": {"id": name}} for name in names[700:900]
    ]
    asked += [{name: name, "voice": name} for name in names[900:]]
    async with serving(FixedEngine([code * 37 % 900 for code in range(40)])) as served:
        await served.client.post(SPEECH, json={**HELLO, "voice": "nobody"})
        await good_request(served)
        before = series()
        statuses = await ask_all(
            served, [json.dumps({**HELLO, **fields}).encode() for fields in asked]
        )
        assert set(statuses) == {b"400"}
        for name in names[:50]:
            assert (await served.client.get(f"/{name}")).status_code == 404
        assert series() == before
        assert not [one for one in before if "voice-" in one]
        await good_request(served)
