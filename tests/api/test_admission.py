"""Who is let in: so many at once, no stream that would starve, and background work only where there is room."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from app.api.admission import KEPT_FOR_STREAMS, MESSAGES, Admission
from app.decode.capacity import LEAST_CALLS, Capacity, Heard
from app.decode.queue import BatchLimits
from app.errors import Overloaded
from tests.counted import counted
from tests.fakes import FixedEngine
from tests.serving import HELLO, SPEECH, good_request, serving, settings_for_tests


def refusals(reason: str) -> float:
    return counted("tts_refused_total", reason=reason)


def carrying(streams: float) -> Capacity:
    """A device that carries so many streams."""
    capacity = Capacity(BatchLimits(1, call_frames=0), 1)
    for number in range(LEAST_CALLS):
        capacity.called(1 / streams, 1, 50)
        capacity.heard(Heard(-100.0 + number, 50, 1.0, late=False))
    return capacity


class LateCapacity(Capacity):
    """Carries everybody, and is late for all."""

    def late(self, now_s: float) -> bool:
        return True


def taken(admission: Admission, streams: int) -> ExitStack:
    places = ExitStack()
    for _ in range(streams):
        places.enter_context(admission.slot())
    return places


def refused(admission: Admission, reason: str, *, whole: bool = False) -> bool:
    """Whether one more is refused: for this reason, told to wait, counted once, and without a place taken."""
    before, in_flight = refusals(reason), admission.in_flight
    try:
        admission.check(whole=whole)
    except Overloaded as exc:
        assert exc.retry_after_s
        assert exc.status == 429
        assert refusals(reason) == before + 1
        assert admission.in_flight == in_flight
        return True
    return False


@pytest.mark.fault(24)
def test_a_stream_is_refused_where_the_devices_time_would_not_do() -> None:
    admission = Admission(64, utilisation=0.8)
    with taken(admission, 3):
        admission.capacity = carrying(5)
        assert not refused(admission, "decode")
        with admission.slot():
            assert refused(admission, "decode")
    assert not refused(admission, "decode")


@pytest.mark.fault(24)
def test_nobody_is_added_while_listeners_run_dry() -> None:
    admission = Admission(64, utilisation=0.8)
    admission.capacity = LateCapacity(BatchLimits(8), 1)
    assert not refused(admission, "late")
    with taken(admission, 1):
        assert refused(admission, "late")


@pytest.mark.parametrize(("capacity", "reason"), [(carrying(0.5), "decode"), (LateCapacity(BatchLimits(8), 1), "late")])
def test_an_idle_machine_lets_one_in_and_a_whole_body_is_none(capacity: Capacity, reason: str) -> None:
    admission = Admission(64, utilisation=0.8)
    admission.capacity = capacity
    with admission.slot(whole=True), admission.slot(whole=True):
        assert not refused(admission, reason)
        with admission.slot():
            assert refused(admission, reason)
            assert not refused(admission, reason, whole=True)


@pytest.mark.parametrize("capacity", [carrying(0.5), LateCapacity(BatchLimits(8), 1)], ids=["slow", "late"])
def test_it_can_be_turned_off(capacity: Capacity) -> None:
    admission = Admission(64, utilisation=0)
    admission.capacity = capacity
    with taken(admission, 63):
        assert not refused(admission, "decode")
    with taken(admission, 64):
        assert refused(admission, "places")


def test_whole_bodies_leave_places_to_streams() -> None:
    admission, kept = Admission(64), int(64 * KEPT_FOR_STREAMS)
    with ExitStack() as places:
        for _ in range(64 - kept):
            places.enter_context(admission.slot(whole=True))
        assert refused(admission, "places", whole=True)
        with taken(admission, kept):
            assert refused(admission, "places")
    assert admission.in_flight == admission.streams == 0


def test_a_single_place_is_anybodys() -> None:
    admission = Admission(1)
    assert not refused(admission, "places", whole=True)
    with admission.slot(whole=True):
        assert refused(admission, "places")


def test_a_keys_places_are_counted_by_their_own_reason() -> None:
    admission, before = Admission(64, limit_per_key=1), refusals("key")
    with admission.slot(7), pytest.raises(Overloaded, match="API key"):
        admission.check(7)
    assert refusals("key") == before + 1


def test_the_reasons_are_a_closed_set() -> None:
    assert set(MESSAGES) == {"places", "key", "decode", "late"}


@pytest.mark.fault(24)
async def test_a_refusal_is_429_and_asks_nothing_of_anybody() -> None:
    engine = FixedEngine([code * 37 % 900 for code in range(200)], stall_after=5)
    async with serving(engine, settings=settings_for_tests(admission_utilisation=0.5)) as served:
        assert served.service.decoder is not None
        served.service.admission.capacity = carrying(1)
        playing = asyncio.create_task(served.client.post(SPEECH, json=HELLO))
        await engine.stalled.wait()
        for _ in range(3):
            answer = await served.client.post(SPEECH, json=HELLO)
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
            assert "x-should-retry" not in answer.headers
        assert len(engine.prompts) == 1
        engine.go_on.set()
        whole = await served.client.post(SPEECH, json={**HELLO, "stream": False})
        assert (await playing).status_code == whole.status_code == 200
        await good_request(served)


async def test_what_is_played_is_what_is_predicted_from() -> None:
    """Ten answers with a codec that does nothing: something is known, and it says that there is room."""
    async with serving(FixedEngine([code * 37 % 900 for code in range(200)])) as served:
        assert served.service.decoder is not None
        capacity = served.service.decoder.capacity
        await served.client.post(SPEECH, json={**HELLO, "stream": False})
        for _ in range(10):
            assert capacity.needed(2) is None or capacity.needed(2) < 0.8
            await good_request(served)
        assert capacity.needed(1) is not None
        assert capacity is served.service.admission.capacity
