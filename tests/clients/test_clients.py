"""Third-party clients with their defaults, against the service and its embedded voice."""

from __future__ import annotations

import pytest

from app.errors import EngineError
from tests.audio_checks import decoded
from tests.child_service import Running
from tests.clients.conftest import KEY, Client, Said, outcomes, pcm, since
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import serving, settings_for_tests

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

TEXT = "The train leaves at nine. Please be on time."
LONG = "The train leaves at nine, and it will not wait for anyone who is late. " * 50
MP3_DELAY = 3 * 1152  # samples that an mp3 encoder and decoder add at most
CODES = tone_codes(300)
ERRORS = {
    "livekit": "APIStatusError",
    "pipecat": "ErrorFrame",
    "litellm": "BadRequestError",
    "node": "BadRequestError",
}


def samples(said: Said) -> int:
    assert not said.error, said.message
    return len(decoded(said.audio, 24_000)) if said.audio else said.samples


async def test_it_speaks_every_sample(client: Client, service: Running) -> None:
    expected = len(pcm(service, TEXT, client.voice)) // 2
    for action in client.ways:
        before = outcomes(service)
        said = await client.say(service.url, TEXT, action)
        more = 0 if client.name == "pipecat" else MP3_DELAY
        assert expected <= samples(said) <= expected + more
        assert said.rate_hz in (0, 24_000)
        assert since(service, before) == {"ok": 1}


async def test_a_refusal_is_its_error_and_is_asked_once(client: Client, service: Running) -> None:
    """Pipecat gets a text without words: it checks the names of voices itself."""
    before = outcomes(service)
    text, chosen, code = TEXT, {"voice": "nobody"}, "voice_not_found"
    if client.name == "pipecat":
        text, chosen, code = "你好,世界", {}, "unsupported_language"
    said = await client.say(service.url, text, **chosen)
    assert said.error == ERRORS[client.name]
    assert since(service, before) == {code: 1}


async def test_a_model_that_is_not_served_is_its_error(client: Client, service: Running) -> None:
    before = outcomes(service)
    said = await client.say(service.url, TEXT, model="gpt-9")
    assert "does not serve this model" in said.message
    assert since(service, before) == {"model_not_found": 1}


async def test_a_wrong_key_is_its_error_and_is_asked_once(client: Client, service: Running) -> None:
    before = outcomes(service)
    said = await client.say(service.url, TEXT, key="sk-wrong")
    assert "API key" in said.message
    assert since(service, before) == {"invalid_api_key": 1}


async def test_leaving_in_mid_stream_frees_its_place(client: Client, service: Running) -> None:
    before = outcomes(service)
    said = await client.say(service.url, LONG, "leave")
    assert not said.error
    assert since(service, before) == {"cancelled": 1}


async def test_a_failure_in_mid_stream_is_its_error(client: Client) -> None:
    """And never half a speech that looks like a whole one."""
    engine = FixedEngine(CODES, gap_s=0.02, error=EngineError("failed"))
    async with serving(engine, settings=settings_for_tests(api_keys=(KEY,))) as served:
        said = await client.say(served.url, TEXT, "break")
    assert said.error
