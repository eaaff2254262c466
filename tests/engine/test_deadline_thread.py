"""The thread that does the most urgent work first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.engine.embedded.deadline_thread import DeadlineThread


class Held:
    """A thread that is at work until it is let go."""

    def __init__(self) -> None:
        self.thread = DeadlineThread("test")
        self._free, self._begun = threading.Event(), threading.Event()
        self.done: list[str] = []

    async def hold(self) -> asyncio.Task[bool]:
        def work(_: None) -> bool:
            self._begun.set()
            return self._free.wait(10)

        holding = asyncio.create_task(self.thread.run(work, None, 0.0))
        await asyncio.to_thread(self._begun.wait, 10)
        return holding

    def let_go(self) -> None:
        self._free.set()

    async def add(self, name: str, due_s: float) -> asyncio.Task[None]:
        task = asyncio.create_task(self.thread.run(self.done.append, name, due_s))
        await asyncio.sleep(0)
        return task


@pytest_asyncio.fixture
async def held() -> AsyncIterator[Held]:
    held = Held()
    yield held
    held.let_go()
    await asyncio.to_thread(held.thread.close)


@pytest.mark.fault(60)
async def test_the_earliest_deadline_goes_first_and_equal_ones_in_their_order(held: Held) -> None:
    holding = await held.hold()
    tasks = [
        await held.add(name, due_s)
        for name, due_s in (("b", 2.0), ("c", 3.0), ("a", 1.0), ("d", 3.0))
    ]
    held.let_go()
    await asyncio.gather(holding, *tasks)
    assert held.done == ["a", "b", "c", "d"]


async def test_cancelled_work_is_left_out(held: Held) -> None:
    holding = await held.hold()
    first, second = await held.add("first", 1.0), await held.add("second", 2.0)
    first.cancel()
    await asyncio.sleep(0)
    held.let_go()
    await asyncio.gather(holding, second)
    assert held.done == ["second"]


async def test_what_work_raises_is_raised_and_the_thread_goes_on(held: Held) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await held.thread.run(int, "x", 0.0)
    assert await held.thread.run(int, "7", 0.0) == 7
    assert held.thread.busy_s > 0


async def test_what_waits_is_done_before_it_closes_and_nothing_after() -> None:
    held = Held()
    holding = await held.hold()
    task = await held.add("last", 1.0)
    closing = asyncio.create_task(asyncio.to_thread(held.thread.close))
    await asyncio.sleep(0.01)
    held.let_go()
    await asyncio.gather(holding, task, closing)
    assert held.done == ["last"]
    with pytest.raises(RuntimeError):
        await held.thread.run(int, "1", 0.0)
