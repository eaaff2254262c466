"""The thread that sings for all: who comes, who goes, and what happens when it fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from app.engine import OnTokens, TokenNumbers
from app.engine.chorus import Chorus
from app.engine.conductor import STEPS_PER_DELIVERY, Conductor
from app.engine.embedded import Delivery
from app.engine.phonemes import Piece
from app.engine.silence import LEAD_FRAMES
from app.errors import EngineError, EngineLength, EngineUnreachable
from tests.engine.small_lm import small_model

LONG = Piece([0, *range(40, 90), 0], ends_sentence=True)
SHORT = Piece([0, 65, 0], ends_sentence=True)
LONG_FRAMES, SHORT_FRAMES = (piece.longest_frames - LEAD_FRAMES for piece in (LONG, SHORT))
MANNER = Delivery("lark", 1.0, 7)


class DeviceLost(BaseException):
    """What no model can recover from."""


class GatedChorus(Chorus):
    """Never ends by itself; steps when it is allowed to, and remembers how many sang."""

    def __init__(self, rows: int, steps: int = 1_000_000) -> None:
        super().__init__(small_model(end_weight=1.0), rows)
        self.allowed = threading.Semaphore(steps)
        self.sizes: list[int] = []
        self.dies = False

    def step(self) -> dict[int, int | None]:
        assert self.allowed.acquire(timeout=20)
        if self.dies:
            raise DeviceLost
        codes = super().step()
        self.sizes.append(len(codes))
        return codes


@asynccontextmanager
async def conducting(chorus: Chorus) -> AsyncGenerator[Conductor]:
    conductor = Conductor(lambda: chorus)
    await conductor.start()
    try:
        yield conductor
    finally:
        if isinstance(chorus, GatedChorus):
            chorus.allowed.release(1000)
        await conductor.close()


async def until(happened: Callable[[], bool]) -> None:
    while not happened():
        await asyncio.sleep(0.001)


async def speak(
    conductor: Conductor, piece: Piece, delivery: Delivery = MANNER, number: int = 0
) -> list[int]:
    """The codes until the piece is ended for being too long."""
    codes: list[int] = []
    await listen_to(conductor, piece, codes.extend, delivery, number)
    return codes


async def listen_to(
    conductor: Conductor,
    piece: Piece,
    on_codes: OnTokens,
    delivery: Delivery = MANNER,
    number: int = 0,
) -> None:
    with suppress(EngineLength):
        await conductor.speak(piece, number, delivery, on_codes)


async def test_a_second_request_joins_between_two_steps() -> None:
    chorus = GatedChorus(4, steps=5)
    async with conducting(chorus) as conductor:
        first = asyncio.create_task(speak(conductor, LONG))
        await until(lambda: len(chorus.sizes) == 5)
        second = asyncio.create_task(speak(conductor, SHORT))
        await asyncio.sleep(0)
        chorus.allowed.release(4)
        await until(lambda: len(chorus.sizes) == 9)
        assert chorus.sizes[:5] == [1] * 5
        assert chorus.sizes[-3:] == [2] * 3  # the sixth step may have begun before
        chorus.allowed.release(1000)
        assert len(await second) == SHORT_FRAMES
        assert not first.done()
        assert len(await first) == LONG_FRAMES


async def test_codes_come_on_the_loop_a_few_at_a_time() -> None:
    threads: set[int] = set()
    sizes: list[int] = []

    def listen(codes: TokenNumbers) -> None:
        threads.add(threading.get_ident())
        sizes.append(len(codes))

    async with conducting(GatedChorus(1)) as conductor:
        await listen_to(conductor, SHORT, listen)
    assert threads == {threading.get_ident()}
    assert sum(sizes) == SHORT_FRAMES
    assert max(sizes) <= STEPS_PER_DELIVERY
    assert len(sizes) <= SHORT_FRAMES / STEPS_PER_DELIVERY + 2


async def test_codes_depend_on_the_manner_and_the_number_and_not_on_the_others() -> None:
    async with conducting(GatedChorus(8)) as conductor:
        alone = await speak(conductor, LONG)
        deliveries = [
            MANNER,
            Delivery("lark", 1.0, 8),
            Delivery("heron", 1.0, 7),
            Delivery("lark", 0.7, 7),
            Delivery("lark", 0.0, 7),
            Delivery("lark", 0.0, 9),
        ]
        together = await asyncio.gather(
            *(speak(conductor, LONG, delivery) for delivery in deliveries),
            speak(conductor, LONG, number=1),
        )
    assert together[0] == alone
    assert together[4] == together[5]
    assert len({tuple(codes) for codes in together}) == 6


async def test_who_finds_no_row_waits_its_turn() -> None:
    order: list[str] = []

    async def ask(name: str, pieces: int) -> None:
        for number in range(pieces):
            await speak(conductor, SHORT, number=number)
            order.append(name)

    async with conducting(GatedChorus(1)) as conductor:
        await asyncio.gather(ask("a", 3), ask("b", 1), ask("c", 2))
    assert order == ["a", "b", "c", "a", "c", "a"]


async def test_a_cancelled_request_leaves_its_row_at_once() -> None:
    chorus = GatedChorus(1, steps=10)
    async with conducting(chorus) as conductor:
        requests = [asyncio.create_task(speak(conductor, LONG)) for _ in range(3)]
        await until(lambda: len(chorus.sizes) == 10)
        for request in requests[:2]:  # one that sings, one that waits
            request.cancel()
        await asyncio.wait(requests[:2])
        assert all(request.cancelled() for request in requests[:2])
        chorus.allowed.release(1 + LONG.longest_frames)
        assert len(await requests[2]) == LONG_FRAMES


async def test_an_exception_of_the_listener_ends_the_piece() -> None:
    def refuse(codes: TokenNumbers) -> None:
        raise KeyError(codes[0])

    async with conducting(GatedChorus(1)) as conductor:
        with pytest.raises(KeyError):
            await conductor.speak(LONG, 0, MANNER, refuse)
        assert len(await speak(conductor, SHORT)) == SHORT_FRAMES


async def test_what_never_ends_fails() -> None:
    heard: list[int] = []
    async with conducting(GatedChorus(1)) as conductor:
        with pytest.raises(EngineLength):
            await conductor.speak(SHORT, 0, MANNER, heard.extend)
        assert len(heard) == SHORT_FRAMES
        assert len(await speak(conductor, SHORT)) == SHORT_FRAMES  # the row is free again


async def test_nothing_is_computed_for_nobody() -> None:
    chorus = GatedChorus(1)
    async with conducting(chorus) as conductor:
        await speak(conductor, SHORT)
        steps = len(chorus.sizes)
        await asyncio.sleep(0.05)
        assert len(chorus.sizes) == steps
        assert 0 not in chorus.sizes


async def test_a_dead_thread_fails_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))
    chorus = GatedChorus(2, steps=3)
    async with conducting(chorus) as conductor:
        requests = [asyncio.create_task(speak(conductor, LONG)) for _ in range(4)]
        lost = asyncio.create_task(conductor.lost())
        await until(lambda: len(chorus.sizes) == 3)
        conductor.check()
        assert not lost.done()
        chorus.dies = True
        chorus.allowed.release()
        for answer in await asyncio.gather(*requests, return_exceptions=True):
            assert type(answer) is EngineError
        with pytest.raises(EngineError, match="died"):
            await asyncio.wait_for(lost, 5)
        with pytest.raises(EngineError, match="died"):
            conductor.check()
        with pytest.raises(EngineError, match="died"):
            await speak(conductor, SHORT)
    assert isinstance(conductor.failure, DeviceLost)
    assert seen == [DeviceLost]


async def test_closing_breaks_off_what_is_spoken() -> None:
    chorus = GatedChorus(2, steps=3)
    async with conducting(chorus) as conductor:
        requests = [asyncio.create_task(speak(conductor, LONG)) for _ in range(4)]
        await until(lambda: len(chorus.sizes) == 3)
        closing = asyncio.create_task(conductor.close())
        await asyncio.sleep(0)
        chorus.allowed.release(1)  # the step in progress
        await closing
        for answer in await asyncio.gather(*requests, return_exceptions=True):
            assert isinstance(answer, EngineUnreachable)
        with pytest.raises(EngineUnreachable):
            await speak(conductor, SHORT)
    assert len(chorus.sizes) in (3, 4)  # it may not have begun
    assert not any(thread.name == "builtin-engine-lm" for thread in threading.enumerate())


async def test_only_a_started_one_speaks() -> None:
    conductor = Conductor(lambda: Chorus(small_model(), 1))
    with pytest.raises(EngineUnreachable):
        conductor.check()
    with pytest.raises(EngineUnreachable):
        await speak(conductor, SHORT)
    await conductor.close()


def test_a_loop_that_is_closed_hears_nothing_more() -> None:
    chorus = GatedChorus(1, steps=2)
    conductor = Conductor(lambda: chorus)

    async def leave_in_the_middle() -> None:
        await conductor.start()
        asyncio.get_running_loop().call_later(0.02, chorus.allowed.release, 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(speak(conductor, LONG), 0.05)

    asyncio.run(leave_in_the_middle())
    chorus.allowed.release(1000)
    asyncio.run(conductor.close())
    assert conductor.failure is None
