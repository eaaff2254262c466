"""The engine's client connected to a fake, or to a port that refuses connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from app.config.profiles import TokenSyntax
from app.engine import Sampling
from app.engine.vllm.client import EngineLimits, VllmEngine
from app.errors import ServiceError
from tests.engine.scripted import (
    GOOD,
    ScriptedEngine,
    Step,
)

SPEECH = TokenSyntax(prefix="<|s_", suffix="|>", first_code_number=0, codes_per_frame=1)
SAMPLING = Sampling(max_tokens=50)
SHORT = EngineLimits(connect_s=0.2, first_token_s=0.2, token_gap_s=0.2, end_s=0.2, check_s=0.2)
LONG = list(range(100, 140))


@contextlib.asynccontextmanager
async def opened(
    url: str, limits: EngineLimits | None = None, api_key: str | None = None
) -> AsyncIterator[VllmEngine]:
    engine = VllmEngine(url, "tiny", SPEECH, api_key=api_key, limits=limits)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def numbers_of(engine: VllmEngine, prompt: str = "Hello.") -> list[int]:
    found: list[int] = []
    await engine.generate(prompt, SAMPLING, found.extend)
    return found


@contextlib.asynccontextmanager
async def against(
    *scripts: Sequence[Step], limits: EngineLimits | None = None, api_key: str | None = None
) -> AsyncIterator[tuple[VllmEngine, ScriptedEngine]]:
    """An engine and its fake; at the end nothing is left over, and a good request succeeds."""
    before = asyncio.all_tasks()
    async with ScriptedEngine(scripts) as fake, opened(fake.url, limits, api_key) as engine:
        yield engine, fake
        await fake.until_closed()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
        assert await numbers_of(engine) == list(GOOD)


async def failure_of(
    script: Sequence[Step], limits: EngineLimits | None = None
) -> tuple[ServiceError, list[int]]:
    """The error that a script leads to and the numbers before it; exactly one request must have
    been sent.
    """
    found: list[int] = []
    async with against(script, limits=limits) as (engine, fake):
        with pytest.raises(ServiceError) as caught:
            await engine.generate("Hello.", SAMPLING, found.extend)
        assert len(fake.requests) == 1
    return caught.value, found


@contextlib.contextmanager
def refusing() -> Iterator[str]:
    """Yield the URL of a port that is bound but does not listen."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextlib.contextmanager
def unaccepting() -> Iterator[str]:
    """The URL of a port where connecting hangs: its queue of one is full, so Linux drops further
    SYNs.
    """
    with socket.socket() as listening, socket.socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        first.connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
