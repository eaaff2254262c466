"""The history of requests: finish reasons, and GET /v1/audio/speech/{request_id} for an hour."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.api.history import RequestHistory
from app.errors import EngineError, EngineTruncated, Overloaded, RequestNotFound
from app.synthesis.audio_output import ClientGone
from tests.api.test_websocket import limits, talking
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests

CODES = tone_codes(150)
KEYS = ("sk-first", "sk-second")


def named(name: str, key: str = "any") -> dict[str, str]:
    return {"x-request-id": name, "authorization": f"Bearer {key}"}


async def status(served: Served, name: str, key: str = "any") -> dict[str, object]:
    answer = await served.client.get(f"{SPEECH}/{name}", headers=named("other", key))
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("fields", "reason"), [({}, "stop"), ({"max_tokens": 200}, "length")])
async def test_the_finish_reason_is_told_where_it_can_be_known(
    fields: dict[str, object], reason: str
) -> None:
    engine = FixedEngine(CODES, finish_reason="stop" if reason == "stop" else "length")
    async with serving(engine) as served:
        whole = await served.client.post(SPEECH, json={**HELLO, **fields, "stream": False})
        assert whole.headers["x-finish-reason"] == reason
        stream = await served.client.post(SPEECH, json={**HELLO, **fields})
        assert "x-finish-reason" not in stream.headers
        events = await served.client.post(SPEECH, json={**HELLO, **fields, "stream_format": "sse"})
        done = json.loads(events.text.rpartition("data: ")[2])
        assert done["finish_reason"] == reason
        for answer in (whole, stream, events):
            said = await status(served, answer.headers["x-request-id"])
            assert (said["status"], said["finish_reason"], said["error_code"]) == (
                "completed",
                reason,
                None,
            )


async def test_a_record_says_what_an_answer_came_to() -> None:
    async with serving(FixedEngine(CODES)) as served:
        await served.client.post(SPEECH, json=HELLO, headers=named("mine"))
        said = await status(served, "mine")
        first_s = said.pop("first_audio_seconds")
    assert isinstance(first_s, float)
    assert 0 < first_s < 20
    prompt = len("<|im_start|>lark: Hello there.<|speech_start|>")
    assert said == {
        "id": "mine",
        "status": "completed",
        "finish_reason": "stop",
        "error_code": None,
        "audio_seconds": 3.0,
        "usage": {"input_tokens": prompt, "output_tokens": 150, "total_tokens": prompt + 150},
        "retries": 0,
    }


@pytest.mark.fault(18)
async def test_a_record_says_how_an_answer_failed_and_how_often_it_was_tried() -> None:
    engine = FixedEngine(CODES[:5], error=EngineTruncated("cut"))
    async with serving(engine) as served:
        await served.client.post(SPEECH, json=HELLO, headers=named("failed"))
        said = await status(served, "failed")
        assert (said["status"], said["finish_reason"], said["error_code"]) == (
            "failed",
            None,
            "engine_truncated",
        )
        assert (said["retries"], said["audio_seconds"], said["first_audio_seconds"]) == (
            1,
            0.0,
            None,
        )
        engine.error, engine.numbers = None, CODES
        await good_request(served)


async def test_a_record_tells_how_far_a_running_answer_is_and_that_its_client_left() -> None:
    engine = FixedEngine(CODES, stall_after=8)
    async with serving(engine) as served:
        async with served.client.stream(
            "POST", SPEECH, json=HELLO, headers=named("running")
        ) as answer:
            await anext(answer.aiter_raw())
            await engine.stalled.wait()
            said = await status(served, "running")
            assert (said["status"], said["finish_reason"]) == ("in_progress", None)
            assert isinstance(said["audio_seconds"], float)
            assert 0 < said["audio_seconds"] < 3
        await served.settle()
        assert (await status(served, "running"))["status"] == "cancelled"
        engine.stall_after = None
        await good_request(served)


async def test_one_key_does_not_see_anothers_requests() -> None:
    async with serving(FixedEngine(CODES), settings=settings_for_tests(api_keys=KEYS)) as served:
        for key, fields in (("sk-first", {}), ("sk-second", {"max_tokens": 500})):
            await served.client.post(
                SPEECH, json={**HELLO, **fields}, headers=named(f"of-{key}", key)
            )
            await served.client.post(SPEECH, json={**HELLO, **fields}, headers=named("shared", key))
        assert (await status(served, "of-sk-first", "sk-first"))["status"] == "completed"
        assert (await status(served, "shared", "sk-first"))["status"] == "completed"
        refused = await served.client.get(f"{SPEECH}/of-sk-first", headers=named("x", "sk-second"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "request_not_found")
        assert (await served.client.get(f"{SPEECH}/shared")).status_code == 401


@pytest.mark.parametrize("name", ["never", "..%2f..", "%00", "x" * 5_000])
async def test_an_unknown_id_is_404(name: str) -> None:
    async with serving(FixedEngine(CODES)) as served:
        answer = await served.client.get(f"{SPEECH}/{name}")
        assert answer.status_code == 404
        assert len(answer.content) < 1_000


async def test_an_utterance_has_a_record_of_its_own() -> None:
    engine = FixedEngine(CODES)
    async with talking(engine, **limits().model_dump(include={"text_timeout_s"})) as (
        served,
        client,
    ):
        await client.text("Hello there.")
        await client.say("end")
        answer = await client.answer()
        assert answer.done["finish_reason"] == "stop"
        said = await status(served, str(answer.started["request_id"]))
        assert (said["status"], said["audio_seconds"]) == ("completed", 3.0)


def test_records_are_bounded_and_of_the_last_hour() -> None:
    records = RequestHistory(most=3)
    for number in range(5):
        with records.track(f"r{number}", None):
            pass
    for number in range(2):
        with pytest.raises(RequestNotFound):
            records.find(f"r{number}", None)
    assert records.find("r4", None).status == "completed"
    old = RequestHistory(kept_s=-1.0)
    with old.track("r", None):
        pass
    with pytest.raises(RequestNotFound):
        old.find("r", None)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EngineError("failed"), "failed", "engine_failed"),
        (Overloaded("full"), "failed", "overloaded"),
        (KeyError("a bug"), "failed", "internal_error"),
        (ClientGone("left"), "cancelled", None),
        (asyncio.CancelledError(), "cancelled", None),
    ],
)
def test_every_end_is_on_record(error: BaseException, status: str, code: str | None) -> None:
    records = RequestHistory()
    with pytest.raises(type(error)), records.track("r", 1):
        assert records.find("r", 1).status == "in_progress"
        raise error
    record = records.find("r", 1)
    assert (record.status, record.error_code) == (status, code)
