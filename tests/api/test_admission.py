"""Admission: concurrency limits, the predicted load, and background work if capacity is left."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest

from app.api.admission import MESSAGES, STREAM_RESERVE, Admission
from app.decode.load_estimate import CallCost, DecodeCapacity, LoadEstimate, StreamState
from app.decode.queue import BatchLimits
from app.errors import Overloaded
from app.synthesis.audio_output import ClientGone
from app.tokens.windows import WindowPlan
from tests.fakes import FixedEngine
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests
from tests.metric_values import counted
from tests.waiting import until

CODES = [code * 37 % 900 for code in range(200)]  # 4 s
WINDOW_FRAMES = 20
PLAN = WindowPlan(WINDOW_FRAMES, WINDOW_FRAMES, left=0, right=0, seamless=False)


@dataclass(eq=False)
class Playing:
    """A stream without an end, a second ahead of its client."""

    now: StreamState = field(default_factory=lambda: StreamState(started=True, lead_s=1.0))

    def state(self) -> StreamState:
        return self.now


def refusals(reason: str) -> float:
    return counted("tts_refused_total", reason=reason)


def carry(load: LoadEstimate, streams: float) -> None:
    """Set the estimate to a device that carries so many streams."""
    limits, cost = BatchLimits(1, call_overhead_frames=0), CallCost(0, 1 / streams / 50)
    load.codec_loaded(DecodeCapacity(limits, 1, PLAN, 50, cost))


def carrying(streams: float) -> LoadEstimate:
    """Return an estimate for a device that carries so many streams."""
    load = LoadEstimate()
    carry(load, streams)
    return load


class LateLoad(LoadEstimate):
    """Admits any number of streams, and is late for all."""

    def underrunning(self, now_s: float) -> bool:
        return True


def late_load() -> LoadEstimate:
    load = LateLoad()
    load.codec_loaded(DecodeCapacity(BatchLimits(8), 1, PLAN, 50))
    return load


@asynccontextmanager
async def taken(admission: Admission, streams: int) -> AsyncGenerator[list[Playing]]:
    """Hold slots with streams that play."""
    async with AsyncExitStack() as places:
        playing = [Playing() for _ in range(streams)]
        for stream in playing:
            await places.enter_async_context(admission.slot(stream=stream))
        yield playing


async def refused(admission: Admission, reason: str, *, whole: bool = False) -> bool:
    """Return if one more request is rejected for this reason, and counted, without a slot."""
    before, in_flight = refusals(reason), admission.in_flight
    try:
        async with admission.slot(stream=None if whole else Playing()):
            pass
    except Overloaded as exc:
        assert exc.retry_after_s
        assert exc.status == 429
        assert refusals(reason) == before + 1
        assert admission.in_flight == in_flight
        return True
    return False


@pytest.mark.fault(24)
async def test_a_stream_is_refused_where_the_devices_time_would_not_do() -> None:
    load = LoadEstimate()
    admission = Admission(load, 64, utilisation=0.8)
    async with taken(admission, 3):
        carry(load, 5)
        assert not await refused(admission, "decode")
        async with taken(admission, 1):
            assert await refused(admission, "decode")
    assert not await refused(admission, "decode")


@pytest.mark.fault(24)
async def test_no_stream_is_added_while_clients_run_dry() -> None:
    admission = Admission(late_load(), 64, utilisation=0.8)
    assert not await refused(admission, "late")
    async with taken(admission, 1):
        assert await refused(admission, "late")


@pytest.mark.parametrize(("load", "reason"), [(carrying(0.5), "decode"), (late_load(), "late")])
async def test_an_idle_machine_lets_one_in_and_a_whole_body_is_none(
    load: LoadEstimate, reason: str
) -> None:
    admission = Admission(load, 64, utilisation=0.8)
    async with admission.slot(), admission.slot():
        assert not await refused(admission, reason)
        async with taken(admission, 1):
            assert await refused(admission, reason)
            assert not await refused(admission, reason, whole=True)


@pytest.mark.parametrize("load", [carrying(0.5), late_load()], ids=["slow", "late"])
async def test_it_can_be_turned_off(load: LoadEstimate) -> None:
    admission = Admission(load, 64, utilisation=0)
    async with taken(admission, 63):
        assert not await refused(admission, "decode")
    async with taken(admission, 64):
        assert await refused(admission, "places")


async def test_whole_bodies_leave_places_to_streams() -> None:
    admission, kept = Admission(LoadEstimate(), 64), int(64 * STREAM_RESERVE)
    async with AsyncExitStack() as places:
        for _ in range(64 - kept):
            await places.enter_async_context(admission.slot())
        assert await refused(admission, "places", whole=True)
        async with taken(admission, kept):
            assert await refused(admission, "places")
    assert admission.in_flight == admission.streams == 0


async def test_a_single_place_is_anybodys() -> None:
    admission = Admission(LoadEstimate(), 1)
    assert not await refused(admission, "places", whole=True)
    async with admission.slot():
        assert await refused(admission, "places")


async def test_a_keys_places_are_counted_by_their_own_reason() -> None:
    admission, before = Admission(LoadEstimate(), 64, limit_per_key=1), refusals("key")
    async with admission.slot(7):
        with pytest.raises(Overloaded, match="API key"):
            admission.check(7)
    assert refusals("key") == before + 1


def test_the_reasons_are_a_closed_set() -> None:
    assert set(MESSAGES) == {"places", "key", "decode", "engine", "late"}


class Line:
    """Streams that wait for a full device, in the order in which they were added."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.begun: list[int] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.left: list[asyncio.Event] = []

    async def add(self) -> None:
        """Add a request, and return when it waits."""
        number, left = len(self.tasks), asyncio.Event()

        async def gone() -> None:
            await left.wait()

        async def wait() -> None:
            async with self._admission.slot(stream=Playing(), gone=gone):
                self.begun.append(number)
                await left.wait()

        waiting = self._admission.waiting
        self.tasks.append(asyncio.create_task(wait()))
        self.left.append(left)
        while self._admission.waiting == waiting and not self.tasks[-1].done():
            await asyncio.sleep(0)

    async def until_begun(self, streams: int) -> list[int]:
        """Return the admitted streams when there are this many."""
        await until(lambda: len(self.begun) >= streams)
        return self.begun

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.mark.fault(60)
async def test_streams_that_wait_begin_in_order_as_others_end() -> None:
    admission = Admission(carrying(3), 64, utilisation=0.8, wait_s=20)  # two of them at once
    line = Line(admission)
    async with taken(admission, 1):
        async with taken(admission, 1):
            for _ in range(3):
                await line.add()
            assert (admission.waiting, admission.streams, admission.in_flight) == (3, 2, 5)
            assert counted("tts_requests_waiting") == 3
        assert await line.until_begun(1) == [0]
        line.left[0].set()
        await line.tasks[0]
        assert await line.until_begun(2) == [0, 1]
        assert admission.waiting == 1
    await line.close()
    assert (admission.waiting, admission.streams, admission.in_flight) == (0, 0, 0)
    assert counted("tts_requests_waiting") == 0


@pytest.mark.fault(60)
async def test_a_stream_begins_as_soon_as_time_has_made_room() -> None:
    """No other ends: one that plays gets ahead of its client."""
    load = LoadEstimate()
    admission = Admission(load, 64, utilisation=0.8, wait_s=20)
    line = Line(admission)
    async with taken(admission, 2) as playing:
        carry(load, 3)
        await line.add()
        await line.add()
        playing[0].now = replace(playing[0].now, lead_s=math.inf)
        assert await line.until_begun(1) == [0]
        await line.close()


@pytest.mark.fault(60)
async def test_a_stream_does_not_pass_those_that_wait() -> None:
    load = LoadEstimate()
    admission = Admission(load, 64, utilisation=0.8, wait_s=20)
    line = Line(admission)
    async with taken(admission, 2):
        carry(load, 3)
        await line.add()
        carry(load, 100)  # seen at the next look
        await line.add()
        assert line.begun == []
        assert await line.until_begun(2) == [0, 1]
        await line.close()


@pytest.mark.fault(60)
async def test_the_wait_ends_with_429() -> None:
    load = LoadEstimate()
    admission = Admission(load, 64, utilisation=0.8, wait_s=0.1)
    async with taken(admission, 2):
        carry(load, 3)
        assert await refused(admission, "decode")
        assert admission.waiting == 0


@pytest.mark.fault(57, 60)
async def test_the_wait_is_longer_by_the_time_in_which_the_process_stood_still() -> None:
    load = LoadEstimate()
    admission = Admission(load, 64, utilisation=0.8, wait_s=0.5)
    line = Line(admission)
    async with taken(admission, 2) as playing:
        carry(load, 3)
        await line.add()
        time.sleep(1.0)  # noqa: ASYNC251  (nothing else runs, as in a frozen container)
        await asyncio.sleep(0.2)
        playing[0].now = replace(playing[0].now, lead_s=math.inf)
        assert await line.until_begun(1) == [0]
        await line.close()


@pytest.mark.fault(60)
async def test_a_client_that_leaves_while_it_waits_makes_room_for_the_next() -> None:
    load = LoadEstimate()
    admission = Admission(load, 64, utilisation=0.8, wait_s=20)
    line = Line(admission)
    async with taken(admission, 2):
        carry(load, 3)
        await line.add()
        await line.add()
        line.left[0].set()
        with pytest.raises(ClientGone):
            await line.tasks[0]
        assert (admission.waiting, admission.in_flight) == (1, 3)
        line.tasks[1].cancel()
        with suppress(asyncio.CancelledError):
            await line.tasks[1]
        assert (admission.waiting, admission.in_flight) == (0, 2)


@pytest.mark.fault(60)
async def test_those_that_wait_hold_their_places() -> None:
    load = LoadEstimate()
    admission = Admission(load, 3, utilisation=0.8, wait_s=20)
    line = Line(admission)
    async with taken(admission, 2):
        carry(load, 3)
        await line.add()
        assert await refused(admission, "places")
    await line.close()


async def play_one(served: Served, engine: FixedEngine, streams: float) -> asyncio.Task[int]:
    """Start a request on a device that carries so many streams; returns its status at the end."""
    carry(served.service.load_estimate, streams)

    async def play() -> int:
        return (await served.client.post(SPEECH, json=HELLO)).status_code

    playing = asyncio.create_task(play())
    await engine.stalled.wait()
    return playing


@pytest.mark.fault(24)
async def test_a_refusal_is_429_and_asks_nothing_of_the_engine() -> None:
    engine = FixedEngine(CODES, stall_after=5)
    settings = settings_for_tests(max_decode_load=0.5, admission_wait_s=0)
    async with serving(engine, settings=settings) as served:
        playing = await play_one(served, engine, 1)
        for _ in range(3):
            answer = await served.client.post(SPEECH, json=HELLO)
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
            assert "x-should-retry" not in answer.headers
        assert len(engine.prompts) == 1
        engine.go_on.set()
        whole = await served.client.post(SPEECH, json={**HELLO, "stream": False})
        assert (await playing, whole.status_code) == (200, 200)
        await good_request(served)


@pytest.mark.fault(60)
async def test_a_request_waits_until_another_has_ended() -> None:
    engine = FixedEngine(CODES, stall_after=5)
    async with serving(
        engine, settings=settings_for_tests(max_decode_load=0.5, admission_wait_s=20)
    ) as served:
        playing = await play_one(served, engine, 1)
        second = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        await served.until_metric("tts_requests_waiting", 1)
        assert len(engine.prompts) == 1
        engine.go_on.set()
        assert (await playing, (await second).status_code) == (200, 200)


@pytest.mark.fault(60)
async def test_a_client_that_disconnects_while_it_waits_is_let_go(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "app")
    engine = FixedEngine(CODES, stall_after=5)
    async with serving(
        engine, settings=settings_for_tests(max_decode_load=0.5, admission_wait_s=20)
    ) as served:
        playing = await play_one(served, engine, 1)
        second = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        admission = served.service.admission
        await until(lambda: admission.waiting)
        second.cancel()
        await until(lambda: not admission.waiting and admission.in_flight <= 1)
        assert len(engine.prompts) == 1
        engine.go_on.set()
        assert await playing == 200
    assert "error=cancelled" in caplog.text
    assert "status=500" not in caplog.text


@pytest.mark.process
@pytest.mark.fault(59)
@pytest.mark.parametrize(
    ("gap_s", "speed"),
    [(0.4, 1.0), (0.1, 4.0)],
    ids=["an engine at half of real time", "a speed that it cannot keep"],
)
async def test_a_stream_that_its_engine_cannot_keep_up_with_counts_for_no_other(
    gap_s: float, speed: float
) -> None:
    """It runs dry again and again, while the device has nothing to do."""
    async with serving(FixedEngine(CODES, gap_s=gap_s)) as served:
        before = await served.metric("tts_underruns_total")
        slow = asyncio.create_task(served.client.post(SPEECH, json={**HELLO, "speed": speed}))
        await served.until_metric("tts_underruns_total", before + 4)

        async def status() -> int:
            async with served.client.stream("POST", SPEECH, json=HELLO) as answer:
                return answer.status_code

        assert await asyncio.gather(*(status() for _ in range(5))) == [200] * 5
        slow.cancel()


async def test_what_is_played_is_what_is_predicted_from() -> None:
    """Ten answers with a codec that does nothing: something is known, and it says that there is
    room.
    """
    async with serving(FixedEngine(CODES)) as served:
        load = served.service.load_estimate
        await served.client.post(SPEECH, json={**HELLO, "stream": False})
        for _ in range(10):
            assert load.shortage([Playing()], Playing(), 0.8, 0.0) is None
            await good_request(served)
        assert load.busy_s([Playing().state()])[-1] > 0
