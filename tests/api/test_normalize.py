"""`normalize`: what the engine is asked, and the route that shows it."""

from __future__ import annotations

import pytest

from tests.fakes import FixedEngine
from tests.serving import HELLO, SPEECH, serving, settings_for_tests

NORMALIZE = "/v1/audio/normalize"
PAY = "Please pay **RM5**."
ELSEWHERE = "http://127.0.0.1:9"  # never asked: the engine is the test's
CODES = list(range(100))


@pytest.mark.parametrize(
    ("profile", "fields", "asked"),
    [
        ("builtin", {}, "Please pay five ringgit."),
        ("builtin", {"normalize": None}, "Please pay five ringgit."),
        ("builtin", {"normalize": False}, PAY),
        ("scicom", {}, PAY),
        ("scicom", {"normalize": True}, "Please pay five ringgit."),
        ("scicom", {"normalize_malaysian": True}, "Please pay five ringgit."),
    ],
)
async def test_the_engine_is_asked_for_words_where_the_request_or_else_the_profile_says_so(
    profile: str, fields: dict[str, object], asked: str
) -> None:
    engine = FixedEngine(CODES)
    settings = settings_for_tests(model_profile=profile, tts_api=ELSEWHERE if profile == "scicom" else None)
    async with serving(engine, settings=settings) as served:
        answer = await served.client.post(SPEECH, json={**HELLO, "input": PAY, **fields})
        assert answer.status_code == 200
        assert asked in engine.prompts[0]


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ({"input": PAY}, "Please pay five ringgit."),
        ({"input": PAY, "normalize": True}, "Please pay five ringgit."),
        ({"input": PAY, "normalize": None, "language": None}, "Please pay five ringgit."),
        ({"input": PAY, "normalize": False}, PAY),
        ({"input": "Baki anda ialah RM50."}, "Baki anda ialah lima puluh ringgit."),
        ({"input": "Dial *100*5# now"}, "Dial star one zero zero star five hash now"),
    ],
)
async def test_the_text_as_it_would_be_spoken(body: dict[str, object], output: str) -> None:
    async with serving(FixedEngine(CODES)) as served:
        answer = await served.client.post(NORMALIZE, json=body)
        assert answer.status_code == 200
        assert answer.json() == {"output": output}


@pytest.mark.parametrize(
    ("text", "code"), [("", "empty_input"), ("**  **", "empty_input"), ("a" * 5_000, "string_too_long")]
)
async def test_what_could_not_be_spoken_is_refused(text: str, code: str) -> None:
    async with serving(FixedEngine(CODES)) as served:
        answer = await served.client.post(NORMALIZE, json={"input": text})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == code


async def test_a_text_of_digits_may_be_as_long_as_any() -> None:
    async with serving(FixedEngine(CODES)) as served:
        answer = await served.client.post(NORMALIZE, json={"input": "1" * 4_096})
        assert answer.status_code == 200
        assert answer.json()["output"].count("one") == 4_096
