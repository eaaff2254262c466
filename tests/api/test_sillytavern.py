"""SillyTavern's speech, "OpenAI Compatible": the request of its `endpoints/openai.js`.

Its server uses node-fetch, reads the whole body, and sends it on to an `<audio>` element as
`audio/mpeg`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from app.errors import EngineError
from tests.audio_checks import decoded
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import SPEECH, Served, good_request, serving, settings_for_tests

CODES = tone_codes(150)
VOICES = ("alloy", "echo", "fable", "onyx", "nova", "shimmer")  # those that it offers
MODELS = ("tts-1", "tts-1-hd", "tts-1-1106", "tts-1-hd-1106")
NODE_FETCH = {
    "accept": "*/*",
    "accept-encoding": "gzip, deflate, br",
    "user-agent": "node-fetch",
    "connection": "close",
}


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES)) as running:
        yield running
        await good_request(running)


async def generate(served: Served, key: str = "", **fields: object) -> httpx.Response:
    """As `custom.post('/generate-voice')`: every field is always there; without a key its place
    stays empty.
    """
    body = {
        "response_format": "mp3",
        "voice": "alloy",
        "speed": 1,
        "model": "tts-1",
        "input": "Hello.",
        **fields,
    }
    headers = {
        **NODE_FETCH,
        "content-type": "application/json",
        "authorization": f"Bearer {key}".strip(),
    }
    return await served.client.post(SPEECH, json=body, headers=headers)


@pytest.mark.parametrize("voice", VOICES)
async def test_every_voice_that_it_offers_gives_an_mp3(served: Served, voice: str) -> None:
    answer = await generate(served, voice=voice)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert "content-encoding" not in answer.headers
    assert len(CODES) * 480 <= len(decoded(answer.content, 24_000)) <= len(CODES) * 480 + 3 * 1152


@pytest.mark.parametrize("model", MODELS)
async def test_every_model_that_it_offers_is_served(served: Served, model: str) -> None:
    assert (await generate(served, model=model)).status_code == 200


@pytest.mark.parametrize("speed", [0.25, 1.05, 4])
async def test_its_slider_moves_the_speed(served: Served, speed: float) -> None:
    heard = decoded((await generate(served, speed=speed)).content, 24_000)
    assert len(heard) == pytest.approx(len(CODES) * 480 / speed, abs=3 * 1152)


async def test_roleplay_is_read_without_its_signs() -> None:
    """Narration between asterisks, quotes, and its separator of sentences."""
    engine = FixedEngine(CODES)
    async with serving(engine) as served:
        text = '*She waves.* "Good morning!" . **Welcome** to the ~inn~ ♥'
        assert (await generate(served, input=text)).status_code == 200
    said = " ".join(engine.prompts)
    assert "She waves." in said
    assert not {*"*~♥"} & {*said}


async def test_a_refusal_is_a_text_that_it_shows() -> None:
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(api_keys=("sk-tavern",))
    ) as served:
        assert (await generate(served, "sk-tavern")).status_code == 200
        for refused, status in (
            (await generate(served), 401),
            (await generate(served, "sk-tavern", voice="nobody"), 400),
            (await generate(served, "sk-tavern", input=""), 400),
        ):
            assert refused.status_code == status
            assert refused.json()["error"]["message"] in refused.text
            assert refused.headers["content-type"] == "application/json"


async def test_an_answer_that_breaks_off_is_no_sound() -> None:
    async with serving(FixedEngine(CODES, error=EngineError("failed"), gap_s=0.05)) as served:
        with pytest.raises(httpx.RemoteProtocolError):
            (await generate(served)).raise_for_status()
