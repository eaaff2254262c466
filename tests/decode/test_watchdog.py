"""The watchdog reports a call that exceeds its limit, and no other call."""

from __future__ import annotations

import asyncio
import math
import threading
import time

import pytest

from app.decode.watchdog import WatchedCall, find_hung_call
from app.process_time import ProcessClock
from tests.fakes import Clock

LIMIT_S = 0.2


def watching(*calls: WatchedCall) -> asyncio.Task[WatchedCall]:
    return asyncio.create_task(find_hung_call(calls, LIMIT_S))


async def stop(task: asyncio.Task[WatchedCall]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_call_that_lasts_too_long_is_told_of() -> None:
    quick, slow = WatchedCall(LIMIT_S), WatchedCall(LIMIT_S)
    task = watching(quick, slow)
    with quick:
        pass
    with slow:
        assert await asyncio.wait_for(task, 10) is slow
    assert slow.thread == threading.get_ident()


async def test_a_call_of_another_thread_is_told_of() -> None:
    call, over = WatchedCall(LIMIT_S), threading.Event()

    def hang() -> None:
        with call:
            assert over.wait(10)

    hanging = asyncio.create_task(asyncio.to_thread(hang))
    assert await asyncio.wait_for(watching(call), 10) is call
    assert call.thread not in (None, threading.get_ident())
    over.set()
    await hanging


async def test_calls_that_end_are_not_however_many_follow_each_other() -> None:
    clock = Clock()
    call = WatchedCall(LIMIT_S, clock=clock)
    task = asyncio.create_task(find_hung_call([call], LIMIT_S, clock=clock))
    for _ in range(20):
        with call:
            clock.now_s += 0.9 * LIMIT_S
            await asyncio.sleep(0.03)
    assert not task.done()
    assert call.due_s == math.inf
    await stop(task)


async def test_a_call_after_a_long_rest_is_watched_as_well() -> None:
    call = WatchedCall(LIMIT_S)
    task = watching(call)
    with call:
        pass
    await asyncio.sleep(2.5 * LIMIT_S)
    with call:
        assert await asyncio.wait_for(task, 10) is call


async def test_a_call_that_raises_is_over() -> None:
    call = WatchedCall(LIMIT_S)
    task = watching(call)
    with pytest.raises(LookupError), call:
        raise LookupError
    await asyncio.wait([task], timeout=2 * LIMIT_S)
    assert not task.done()
    await stop(task)


async def test_a_process_that_stood_still_gets_its_time_again() -> None:
    """A frozen container thaws, and finds that a call began an hour ago."""
    clock = Clock()
    call = WatchedCall(LIMIT_S, clock=clock)
    task = asyncio.create_task(find_hung_call([call], LIMIT_S, clock=clock))
    with call:
        await asyncio.sleep(0.05)  # the task waits for the call's limit
        time.sleep(1.0)  # noqa: ASYNC251  (nothing of this process runs, as if it were frozen)
        clock.now_s += 3_600.0
        await asyncio.sleep(3 * LIMIT_S)
        assert not task.done()
        async with asyncio.timeout(10):
            while not task.done():
                clock.now_s += LIMIT_S
                await asyncio.sleep(0.01)
    assert task.result() is call


async def test_a_blocked_event_loop_hides_a_hang_for_one_limit_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, blocked = Clock(), Clock()
    monkeypatch.setattr(ProcessClock, "suspended_s", lambda _: blocked.now_s)
    call = WatchedCall(LIMIT_S, clock=clock)
    task = asyncio.create_task(find_hung_call([call], LIMIT_S, clock=clock))
    with call:
        await asyncio.sleep(0.05)
        for seconds in (clock, blocked):
            seconds.now_s += 3_600.0
        await asyncio.sleep(3 * LIMIT_S)
        assert not task.done()
        clock.now_s += 1.01 * LIMIT_S
        assert await asyncio.wait_for(task, 10) is call
