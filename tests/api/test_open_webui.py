"""Open WebUI's speech, engine "OpenAI": requests of its `routers/audio.py`.

It uses aiohttp: the lists of models and voices without the key, the speech with it, read whole and
kept as mp3.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
import pytest

from app.errors import EngineError
from tests.audio_checks import decoded
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import Served, good_request, serving, settings_for_tests

CODES = tone_codes(150)
KEY = "sk-open-webui"
FALLBACK_MODELS = ["tts-1", "tts-1-hd"]
FALLBACK_VOICES = ["alloy", "echo", "fable", "onyx", "nova", "shimmer"]
SENTENCE = {"input": "Hello, how can I help you today?", "voice": "alloy"}  # what its page sends


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES)) as running:
        yield running
        await good_request(running)


async def listed(served: Served, path: str) -> dict[str, list[dict[str, str]]]:
    """A list as it fetches it; raises what makes it fall back."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
        session.get(f"{served.url}/v1{path}") as answer,
    ):
        answer.raise_for_status()
        return await answer.json()


async def models(served: Served) -> list[str]:
    """As `get_available_models`: a list of its own kind, then OpenAI's, then two names."""
    try:
        found = (await listed(served, "/audio/models")).get("models", [])
    except aiohttp.ClientError:
        try:
            found = (await listed(served, "/models"))["data"]
        except aiohttp.ClientError:
            return FALLBACK_MODELS
    return [model["id"] for model in found]


async def voices(served: Served) -> dict[str, str]:
    """As `get_available_voices`."""
    try:
        return {
            voice["id"]: voice["name"]
            for voice in (await listed(served, "/audio/voices")).get("voices", [])
        }
    except aiohttp.ClientError:
        return {name: name for name in FALLBACK_VOICES}


async def speech(
    served: Served, payload: dict[str, object], key: str = ""
) -> bytes | tuple[int, str]:
    """As `speech`: the bytes that it keeps as mp3, or the status and the words that its user sees.

    aiohttp lets go of an answer whose status it raises, so that its user is shown the status, never
    the message.
    """
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        answer = await session.post(f"{served.url}/v1/audio/speech", json=payload, headers=headers)
        try:
            answer.raise_for_status()
            return await answer.read()
        except aiohttp.ClientError as exc:
            return answer.status, f"External: {exc}"


async def test_what_it_lists_can_be_spoken_as_mp3(served: Served) -> None:
    names, known = await models(served), await voices(served)
    assert names == [served.service.profile.model]
    assert list(known) == list(known.values()) == list(served.service.profile.voices.names)
    for name in known:
        mp3 = await speech(served, {**SENTENCE, "model": names[0], "voice": name})
        assert isinstance(mp3, bytes), mp3
        assert len(CODES) * 480 <= len(decoded(mp3, 24_000)) <= len(CODES) * 480 + 3 * 1152


async def test_what_it_falls_back_to_where_keys_are_set_is_spoken() -> None:
    """Its lists leave without a key; the names that it shows then lead to voices all the same."""
    async with serving(FixedEngine(CODES), settings=settings_for_tests(api_keys=(KEY,))) as served:
        names, known = await models(served), await voices(served)
        assert (names, list(known)) == (FALLBACK_MODELS, FALLBACK_VOICES)
        for name in known:
            assert isinstance(
                await speech(served, {**SENTENCE, "model": names[0], "voice": name}, KEY), bytes
            )
        told = await speech(served, {**SENTENCE, "model": names[0]}, "sk-wrong")
        assert told[0] == 401


async def test_its_additional_parameters_are_taken(served: Served) -> None:
    """`TTS_OPENAI_PARAMS`, which an administrator writes as JSON."""
    payload = {
        **SENTENCE,
        "model": "tts-1",
        "speed": 2.0,
        "response_format": "mp3",
        "anything": True,
    }
    mp3 = await speech(served, payload)
    assert isinstance(mp3, bytes)
    assert len(decoded(mp3, 24_000)) == pytest.approx(len(CODES) * 240, abs=3 * 1152)


@pytest.mark.parametrize(
    ("fields", "status", "phrase"),
    [
        ({"model": "gpt-9"}, 404, "Not Found"),
        ({"voice": "x"}, 400, "Bad Request"),
        ({"input": "…"}, 400, "Bad Request"),
    ],
)
async def test_its_user_sees_the_status_of_a_refusal(
    served: Served, fields: dict[str, object], status: int, phrase: str
) -> None:
    told = await speech(served, {**SENTENCE, "model": "tts-1", **fields})
    assert told[0] == status
    assert phrase in str(told[1])


async def test_an_answer_that_breaks_off_is_not_kept() -> None:
    engine = FixedEngine(CODES, error=EngineError("failed"), stall_after=8)
    engine.go_on.set()
    async with serving(engine) as served:
        told = await speech(
            served, {**SENTENCE, "model": "tts-1", "response_format": "pcm", "stream": True}
        )
    assert isinstance(told, tuple)
    assert told[1].startswith("External: ")
