from __future__ import annotations

import asyncio

import pytest

from app.engine.vllm.token_timeout import TokenTimeout


@pytest.mark.fault(7)
async def test_it_ends_the_wait_for_the_first() -> None:
    clock = TokenTimeout(0.01, 60)
    with pytest.raises(TimeoutError):
        async with clock:
            await asyncio.Event().wait()
    assert clock.expired


@pytest.mark.fault(8)
async def test_it_ends_the_wait_for_the_next_long_before_the_first_would_have_been_due() -> None:
    clock = TokenTimeout(60, 0.01)
    with pytest.raises(TimeoutError):
        async with clock:
            clock.tick()
            await asyncio.Event().wait()
    assert clock.expired


async def test_every_tick_counts() -> None:
    async with TokenTimeout(1.0, 1.0) as clock:
        for _ in range(6):
            await asyncio.sleep(0.25)
            clock.tick()
    assert not clock.expired


async def test_the_last_wait_is_its_own() -> None:
    clock = TokenTimeout(60, 60)
    with pytest.raises(TimeoutError):
        async with clock:
            clock.tick()
            clock.expect_end(0.01)
            await asyncio.Event().wait()


async def test_a_timeout_from_within_is_not_the_clocks() -> None:
    clock = TokenTimeout(60, 60)
    with pytest.raises(TimeoutError, match="mine"):
        async with clock:
            raise TimeoutError("mine")
    assert not clock.expired


async def test_cancelling_is_no_timeout() -> None:
    clock = TokenTimeout(60, 60)

    async def wait() -> None:
        async with clock:
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not clock.expired
