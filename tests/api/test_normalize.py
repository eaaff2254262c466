"""Normalisation of texts: the prompt that the engine gets, and the route that shows the text."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path

import pytest

from app.api.service import MAX_TEXTS
from app.main import create_app
from app.synthesis.text_stream import LONG_CHARACTERS
from app.text.pauses import PausedText
from app.text.preparation import NormalisationOptions, TextPreparation
from app.text.pronunciations import PronunciationsError
from tests.fakes import UNREACHABLE, FixedEngine
from tests.live_server import HELLO, SPEECH, good_request, serving, settings_for_tests
from tests.waiting import until

NORMALIZE = "/v1/audio/normalize"
PAY = "Please pay **RM5**."
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
    settings = settings_for_tests(
        model_profile=profile, engine_urls=UNREACHABLE if profile == "scicom" else None
    )
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
    ("text", "code"),
    [("", "empty_input"), ("**  **", "empty_input"), ("a" * 5_000, "string_too_long")],
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


LONG = "It costs $1,234.56 on 12/05/2023 at 10:45pm, see a.b@c.com. " * 60
REFUSED = 'tts_refused_total{reason="texts"}'


@pytest.mark.fault(46)
async def test_of_many_texts_at_once_some_are_refused_and_speech_goes_on() -> None:
    async with serving(FixedEngine(CODES)) as served:
        before = await served.metric(REFUSED)
        asked = [
            asyncio.create_task(served.client.post(NORMALIZE, json={"input": LONG}))
            for _ in range(40)
        ]
        await good_request(served)
        answers = await asyncio.gather(*asked)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.json()["error"]["code"] for answer in refused} == {"overloaded"}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert await served.metric(REFUSED) == before + len(refused)
        assert {answer.status_code for answer in answers} == {200, 429}
        assert len(answers) - len(refused) >= MAX_TEXTS
        assert (await served.client.post(NORMALIZE, json={"input": LONG})).status_code == 200


@pytest.mark.fault(46)
async def test_a_text_to_normalize_is_one_of_the_requests_of_its_key() -> None:
    settings = settings_for_tests(api_keys="sk-a,sk-b", max_concurrent_requests_per_key=1)
    async with serving(FixedEngine(CODES), settings=settings) as served:

        async def normalize(key: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            return (
                await served.client.post(NORMALIZE, json={"input": LONG}, headers=headers)
            ).status_code

        assert set(await asyncio.gather(*(normalize("sk-a") for _ in range(5)))) == {200, 429}
        assert await asyncio.gather(normalize("sk-a"), normalize("sk-b")) == [200, 200]


@pytest.mark.fault(46)
async def test_a_text_to_normalize_is_not_read_where_speech_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TextPreparation, "text", None)
    async with serving(FixedEngine(CODES)) as served:
        answer = await served.client.post(NORMALIZE, json={"input": PAY})
        assert answer.json() == {"output": "Please pay five ringgit."}


async def test_a_process_that_has_ended_is_started_again() -> None:
    async with serving(FixedEngine(CODES)) as served:
        texts = served.service._texts
        assert (
            await texts.text(PAY, NormalisationOptions(normalize=True))
            == "Please pay five ringgit."
        )
        process = texts._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        asked = asyncio.create_task(served.client.post(NORMALIZE, json={"input": PAY}))
        await until(texts._lock.locked)
        assert (
            await served.client.get("/health")
        ).status_code == 200  # others are served meanwhile
        os.kill(process.pid, signal.SIGKILL)
        assert (await asked).status_code == 503
        assert (await served.client.post(NORMALIZE, json={"input": PAY})).status_code == 200
        process_id = texts._process.pid if texts._process else 0
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


@pytest.mark.process
async def test_a_text_that_takes_too_long_is_504_and_its_answer_is_given_to_no_other() -> None:
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(request_timeout_s=2.0)
    ) as served:
        texts = served.service._texts
        await texts.text(PAY, NormalisationOptions(normalize=True))
        process = texts._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        texts._limit_s = 0.1
        assert (await served.client.post(NORMALIZE, json={"input": "One."})).status_code == 504
        texts._limit_s = 10.0
        answer = await served.client.post(NORMALIZE, json={"input": PAY})
        assert answer.json() == {"output": "Please pay five ringgit."}


async def test_the_lexicon_and_the_limit_hold_in_the_process(tmp_path: Path) -> None:
    (tmp_path / "words").write_text("ringgit\tdollars\n", encoding="utf-8")
    settings = settings_for_tests(pronunciations=str(tmp_path / "words"), max_input_characters=20)
    async with serving(FixedEngine(CODES), settings=settings) as served:
        answer = await served.client.post(NORMALIZE, json={"input": "Five ringgit."})
        assert answer.json() == {"output": "Five dollars."}
        answer = await served.client.post(NORMALIZE, json={"input": "a" * 21})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (
            400,
            "string_too_long",
            "input",
        )


@pytest.mark.parametrize(
    ("language", "spoken"),
    [("en", "one hundred five"), ("ms", "seratus lima"), ("zh", "一百零五"), ("ta", "நூற்று ஐந்து")],
)
async def test_the_language_is_the_clients(language: str, spoken: str) -> None:
    async with serving(FixedEngine([1])) as served:
        answer = await served.client.post(NORMALIZE, json={"input": "105", "language": language})
    assert answer.json()["output"].casefold() == spoken


async def test_an_unknown_language_is_refused() -> None:
    async with serving(FixedEngine([1])) as served:
        answer = await served.client.post(NORMALIZE, json={"input": "105", "language": "fr"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "language")


async def test_others_are_served_while_a_long_text_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, may_end = threading.Event(), threading.Event()
    read = TextPreparation.paused_texts

    def slowly(self: TextPreparation, text: str, manner: NormalisationOptions) -> list[PausedText]:
        reading.set()
        assert may_end.wait(20)
        return read(self, text, manner)

    monkeypatch.setattr(TextPreparation, "paused_texts", slowly)
    body = {"input": "Hello there. " * (LONG_CHARACTERS // 10), "response_format": "pcm"}
    async with serving(FixedEngine([1] * 50)) as served:
        asking = asyncio.create_task(served.client.post(SPEECH, json=body))
        assert await asyncio.to_thread(reading.wait, 20)
        assert (await served.client.get("/health")).status_code == 200
        may_end.set()
        assert (await asking).status_code == 200


async def test_pronunciations_are_applied_before_the_rules_and_without_them(tmp_path: Path) -> None:
    pronunciations = tmp_path / "words.tsv"
    pronunciations.write_text("# names\nMaxis\tmack siss\n4G\tfour gee\n", encoding="utf-8")
    async with serving(
        FixedEngine([1]), settings=settings_for_tests(pronunciations=str(pronunciations))
    ) as served:
        for normalize in (True, False):
            body = {"input": "Maxis has 4G.", "normalize": normalize}
            answer = await served.client.post(NORMALIZE, json=body)
            assert answer.json()["output"] == "mack siss has four gee."


def test_pronunciations_that_cannot_be_read_end_the_start(tmp_path: Path) -> None:
    with pytest.raises(PronunciationsError, match="cannot be read"):
        create_app(settings_for_tests(pronunciations=str(tmp_path / "none.tsv")))
