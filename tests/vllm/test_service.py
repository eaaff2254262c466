"""Text through the service before a real vLLM: the model's known answer returns as audio."""

from __future__ import annotations

import pytest

from app.config.profiles import load_profile
from app.engine.vllm.client import VllmEngine
from tests.fakes import FixedEngine, ToneCodec
from tests.live_server import HELLO, SPEECH, Served, serving, settings_for_tests
from tests.vllm.conftest import KnownAnswer

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1500)]


@pytest.mark.parametrize("ids", [True, False])
async def test_the_known_answer_is_heard(known_answer: KnownAnswer, ids: bool) -> None:
    async with serving(FixedEngine(known_answer.codes), ToneCodec()) as served:
        expected = await heard(served)
    settings = settings_for_tests(
        engine_urls=known_answer.url,
        model_name=known_answer.model,
        default_max_tokens=1500,  # vLLM refuses more than its context, here 2,048
    )
    tokens = load_profile("scicom").tokens
    engine = VllmEngine(known_answer.url, known_answer.model, tokens, request_token_ids=ids)
    async with serving(engine, ToneCodec(), settings) as served:
        assert await heard(served) == expected
        assert await heard(served, stream=False) == expected


async def heard(served: Served, *, stream: bool = True) -> bytes:
    """The samples as the codec gives them: the profiles differ in the level that they expect."""
    body = {**HELLO, "stream": stream, "normalize_loudness": False}
    answer = await served.client.post(SPEECH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.content


async def test_a_model_that_does_not_end_is_502_unless_the_caller_set_the_limit(
    known_answer: KnownAnswer,
) -> None:
    settings = settings_for_tests(
        engine_urls=known_answer.url, model_name=known_answer.model, default_max_tokens=60
    )
    async with serving(None, ToneCodec(), settings) as served:
        whole = {**HELLO, "input": "Hello.", "stream": False}
        answer = await served.client.post(SPEECH, json=whole)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "engine_length")
        answer = await served.client.post(SPEECH, json={**whole, "max_tokens": 60})
        assert len(answer.content) == 60 * 480 * 2


async def test_an_engine_that_is_up_makes_the_service_ready(known_answer: KnownAnswer) -> None:
    settings = settings_for_tests(engine_urls=known_answer.url, model_name=known_answer.model)
    async with serving(None, ToneCodec(), settings) as served:
        assert (await served.client.get("/ready")).status_code == 200
