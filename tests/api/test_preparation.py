"""What the door makes of a text: the lexicon before the rules, the language asked for, over the normalize route."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from app.main import create_app
from app.synthesis.text_stream import LONG_CHARACTERS
from app.text.pauses import PausedText
from app.text.preparation import NormalisationOptions, TextPreparation
from app.text.pronunciations import PronunciationsError
from tests.fakes import FixedEngine
from tests.live_server import SPEECH, serving, settings_for_tests


@pytest.mark.parametrize(
    ("language", "spoken"),
    [("en", "one hundred five"), ("ms", "seratus lima"), ("zh", "一百零五"), ("ta", "நூற்று ஐந்து")],
)
async def test_the_language_is_the_callers(language: str, spoken: str) -> None:
    async with serving(FixedEngine([1])) as served:
        answer = await served.client.post(
            "/v1/audio/normalize", json={"input": "105", "language": language}
        )
    assert answer.json()["output"].casefold() == spoken


async def test_an_unknown_language_is_refused() -> None:
    async with serving(FixedEngine([1])) as served:
        answer = await served.client.post(
            "/v1/audio/normalize", json={"input": "105", "language": "fr"}
        )
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


async def test_the_lexicon_speaks_before_the_rules_and_without_them(tmp_path: Path) -> None:
    lexicon = tmp_path / "words.tsv"
    lexicon.write_text("# names\nMaxis\tmack siss\n4G\tfour gee\n", encoding="utf-8")
    async with serving(
        FixedEngine([1]), settings=settings_for_tests(pronunciations=str(lexicon))
    ) as served:
        for normalize in (True, False):
            body = {"input": "Maxis has 4G.", "normalize": normalize}
            answer = await served.client.post("/v1/audio/normalize", json=body)
            assert answer.json()["output"] == "mack siss has four gee."


def test_a_lexicon_that_cannot_be_read_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(PronunciationsError, match="cannot be read"):
        create_app(settings_for_tests(pronunciations=str(tmp_path / "none.tsv")))
