"""A temporary engine failure is retried once before the first byte, and never afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.api.test_engine_faults import (
    CODES,
    EARLY_ENDS,
    FEW,
    MANY,
    PACE_S,
    begun,
    broken_off,
    scripted,
    status_of,
)
from tests.engine.scripted import (
    Close,
    Reset,
    ScriptedEngine,
    Send,
    Sleep,
    Step,
    answer,
    chunk,
    completion,
    events,
    refusal,
)
from tests.fakes import ToneCodec
from tests.live_server import HELLO, SPEECH, Served, good_request
from tests.metric_values import counted

MUTE = 990  # a code that sounds like nothing
LOOP = [1, 2, 3] * 150
PROSE = {**HELLO, "input": "This is a sentence of ordinary length, as people say it. " * 2}
CUT: list[Step] = [*begun(FEW), Reset()]


@asynccontextmanager
async def between(
    *scripts: Sequence[Step], **values: object
) -> AsyncGenerator[tuple[Served, ScriptedEngine, ToneCodec]]:
    """The service before a scripted engine that fails as often as it is told."""
    codec = ToneCodec(mute=MUTE)
    async with scripted(codec, *scripts, **values) as (served, engine):
        yield served, engine, codec


async def whole(served: Served, **fields: object) -> httpx.Response:
    return await served.client.post(SPEECH, json={**PROSE, "stream": False, **fields})


@pytest.mark.fault(10)
@pytest.mark.parametrize("end", EARLY_ENDS)
async def test_an_answer_that_breaks_off_before_the_first_byte_is_asked_for_again(
    end: Sequence[Step],
) -> None:
    before = counted("tts_retries_total", reason="engine_truncated")
    async with between([*begun(FEW), *end]) as (served, engine, _):
        assert len(await good_request(served)) == len(CODES) * 480 * 2
        assert len(engine.requests) == 2
    assert counted("tts_retries_total", reason="engine_truncated") == before + 1


@pytest.mark.fault(10)
async def test_there_is_one_second_attempt_and_no_third() -> None:
    async with between(CUT, CUT) as (served, engine, _):
        assert await status_of(served) == (502, "engine_truncated")
        assert len(engine.requests) == 2


@pytest.mark.fault(10)
async def test_after_the_first_byte_there_is_no_second_attempt() -> None:
    async with between([*begun(MANY, PACE_S), Reset()]) as (served, engine, _):
        received = await broken_off(served)
        assert len(engine.requests) == 1
        assert (await good_request(served)).startswith(received)


@pytest.mark.fault(10)
@pytest.mark.parametrize("response_format", ["pcm", "wav", "mp3", "flac"])
async def test_a_whole_body_may_begin_again_until_its_end(response_format: str) -> None:
    """Two windows of the first attempt are decoded and encoded by the time it fails; nothing of it
    is in the answer.
    """
    lost = answer(events(range(1_000, 1_300), finish=None))[:-2]
    async with between([*lost, Sleep(0.3), Reset()]) as (served, engine, _):
        body = await whole(served, response_format=response_format, input="Hello there.")
        assert len(engine.requests) == 2
        assert (
            body.content
            == (await whole(served, response_format=response_format, input="Hello there.")).content
        )


@pytest.mark.fault(16)
async def test_an_end_without_a_token_is_asked_for_again_with_other_dice() -> None:
    async with between(completion([])) as (served, engine, _):
        assert len(await good_request(served)) == len(CODES) * 480 * 2
        seeds = [request.json.get("seed") for request in engine.requests]
        assert seeds[0] is None
        assert isinstance(seeds[1], int)


@pytest.mark.fault(16)
@pytest.mark.parametrize("fields", [{"seed": 5}, {"temperature": 0}])
async def test_the_same_dice_are_not_thrown_again(fields: dict[str, object]) -> None:
    async with between(completion([])) as (served, engine, _):
        assert await status_of(served, **fields) == (502, "engine_no_audio")
        assert len(engine.requests) == 1


@pytest.mark.fault(10)
async def test_a_lost_connection_is_no_matter_of_dice() -> None:
    async with between(CUT) as (served, engine, _):
        got = await served.client.post(SPEECH, json={**HELLO, "seed": 5})
        assert got.status_code == 200
        assert [request.json.get("seed") for request in engine.requests] == [5, 5]


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("codes", "finish", "kind"),
    [
        (LOOP, "stop", "repetition"),
        ([*CODES[:20], *[MUTE] * 100, *range(2_000, 2_010), *[MUTE] * 160], "stop", "repetition"),
        (list(range(400)), "length", "length"),
        (CODES[:9], "stop", "short"),
    ],
)
async def test_a_runaway_is_asked_for_again_then_502(
    codes: list[int], finish: str, kind: str
) -> None:
    before = counted("tts_runaways_total", kind=kind)
    async with between(*[completion(codes, finish=finish, per_event=10)] * 3) as (
        served,
        engine,
        _,
    ):
        failed = await whole(served)
        assert (failed.status_code, failed.json()["error"]["code"]) == (502, "engine_length")
        assert len(engine.requests) == 2
        assert counted("tts_runaways_total", kind=kind) == before + 2
        assert (await whole(served)).status_code == 200  # one more runaway, then a good answer
        assert len(engine.requests) == 4


@pytest.mark.fault(18)
async def test_silence_in_the_sound_is_a_runaway_though_no_code_repeats() -> None:
    before = counted("tts_runaways_total", kind="silence")
    silent = [*CODES[:20], *([MUTE] * 60 + [1_990]) * 4, *CODES[:20]]
    loud = [*CODES[:20], *([MUTE] * 60 + [1_991]) * 4, *CODES[:20]]
    async with between(completion(silent, per_event=10), completion(loud, per_event=10)) as (
        served,
        engine,
        codec,
    ):
        codec.mutes = frozenset({MUTE, 1_990})
        got = await whole(served)
        assert (got.status_code, len(engine.requests)) == (200, 2)
        assert len(got.content) == len(loud) * 480 * 2
    assert counted("tts_runaways_total", kind="silence") == before + 1


@pytest.mark.fault(18)
async def test_a_runaway_after_the_first_byte_breaks_the_body_off() -> None:
    async with between(completion([*CODES, *LOOP], gap_s=0.001, per_event=5)) as (
        served,
        engine,
        _,
    ):
        asked = {**HELLO, "max_tokens": 1_000}
        with pytest.raises(httpx.RemoteProtocolError):
            await served.client.post(SPEECH, json=asked)
        assert len(engine.requests) == 1


@pytest.mark.fault(18)
async def test_the_engine_may_make_no_more_than_the_text_can_need() -> None:
    async with between(*[completion([*CODES, *range(1_000, 1_200)])] * 3) as (served, engine, _):
        await served.client.post(SPEECH, json=HELLO)
        await served.client.post(SPEECH, json={**HELLO, "max_tokens": 2_500})
        await served.client.post(SPEECH, json={**HELLO, "input": "one two three four " * 28})
        asked = [request.json["max_tokens"] for request in engine.requests]
        assert asked == [410, 2_500, 3_072]


@pytest.mark.fault(18)
async def test_pauses_that_the_text_asks_for_are_no_silence() -> None:
    async with between(completion(CODES), completion(CODES)) as (served, engine, _):
        text = "This is a sentence.[pause:5s][pause:4s]And this is another one."
        got = await whole(served, input=text, normalize_loudness=False)
        assert (got.status_code, len(engine.requests)) == (200, 2)
        assert len(got.content) == (2 * len(CODES) + 450) * 480 * 2


async def test_what_cannot_pass_is_not_asked_for_again() -> None:
    breach: list[Step] = [*begun(FEW), Send(chunk(b"data: {nonsense\n\n"))]
    async with between(
        refusal(500, b"{}"), refusal(503, b"{}"), breach, [*begun(FEW), Sleep()]
    ) as (served, engine, _):
        for number, code in enumerate(
            ["engine_failed", "engine_overloaded", "engine_protocol", "engine_timeout"], 1
        ):
            assert (await status_of(served))[1] == code
            assert len(engine.requests) == number


async def test_the_limit_holds_for_both_attempts_together() -> None:
    late: list[Step] = [Send(begun(0)[0].data), Sleep(0.7), Close()]  # type: ignore[union-attr]
    async with between(late, late, request_timeout_s=1.0, first_token_timeout_s=5) as (
        served,
        engine,
        _,
    ):
        begun_s = asyncio.get_running_loop().time()
        assert await status_of(served) == (504, "deadline_exceeded")
        assert asyncio.get_running_loop().time() - begun_s < 1.35
        assert len(engine.requests) == 2
