"""The OpenAI Python SDK: its default requests, its exceptions and its retries."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from app.errors import EngineError
from tests.audio_checks import decoded
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import Served, serving, settings_for_tests

CODES = tone_codes(150)
PCM_BYTES = len(CODES) * 480 * 2
KEY = "sk-right"
DEFAULTS = {"model": "gpt-4o-mini-tts", "voice": "coral", "input": "Hello."}


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(FixedEngine(CODES), settings=settings_for_tests(api_keys=(KEY,))) as running:
        yield running


@asynccontextmanager
async def sdk(served: Served, key: str = KEY, **options: int) -> AsyncIterator[AsyncOpenAI]:
    """The SDK with its own defaults, two retries among them."""
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key=key, **options) as client:  # type: ignore[arg-type]
        yield client


async def test_create_gets_an_mp3_with_all_the_samples(served: Served) -> None:
    async with sdk(served) as client:
        answer = await client.audio.speech.create(**DEFAULTS)  # type: ignore[arg-type]
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert len(CODES) * 480 <= len(decoded(answer.content, 24_000)) <= len(CODES) * 480 + 3 * 1152


@pytest.mark.parametrize("name", ["alloy", "verse", "marin", "cedar"])
async def test_its_voices_and_models_are_known(served: Served, name: str) -> None:
    async with sdk(served) as client:
        for model in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"):
            answer = await client.audio.speech.create(
                model=model, voice=name, input="Hi.", response_format="wav"
            )
            assert answer.content[:4] == b"RIFF"
        answer = await client.audio.speech.create(model="tts-1", voice={"id": name}, input="Hi.")
        assert answer.content


async def test_with_streaming_response_gets_the_samples_as_they_come(served: Served) -> None:
    async with (
        sdk(served) as client,
        client.audio.speech.with_streaming_response.create(
            **DEFAULTS, response_format="pcm"
        ) as answer,  # type: ignore[arg-type]
    ):
        assert answer.request_id
        assert answer.request_id == answer.headers["x-request-id"]
        chunks = [chunk async for chunk in answer.iter_bytes()]
    assert len(chunks) > 1
    assert len(b"".join(chunks)) == PCM_BYTES


async def test_events_are_read_line_by_line(served: Served) -> None:
    audio, kinds = b"", []
    async with (
        sdk(served) as client,
        client.audio.speech.with_streaming_response.create(
            **DEFAULTS,  # type: ignore[arg-type]
            response_format="pcm",
            stream_format="sse",
        ) as answer,
    ):
        async for line in answer.iter_lines():
            if line:
                event = json.loads(line.removeprefix("data: "))
                kinds.append(event["type"])
                audio += base64.b64decode(event.get("audio", ""))
    assert set(kinds[:-1]) == {"speech.audio.delta"}
    assert kinds[-1] == "speech.audio.done"
    assert len(audio) == PCM_BYTES


@pytest.mark.parametrize(
    ("fields", "error", "code"),
    [
        ({"voice": "nobody"}, openai.BadRequestError, "voice_not_found"),
        ({"input": ""}, openai.BadRequestError, "empty_input"),
        ({"speed": 9.0}, openai.BadRequestError, "less_than_equal"),
        ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found"),
    ],
)
async def test_a_refusal_is_the_sdks_own_error_and_is_not_repeated(
    served: Served, fields: dict[str, object], error: type[openai.APIStatusError], code: str
) -> None:
    tries: list[str] = []
    async with sdk(served) as client:
        count_tries(client, tries)
        with pytest.raises(error) as caught:
            await client.audio.speech.create(**{**DEFAULTS, **fields})  # type: ignore[arg-type]
    assert caught.value.code == code
    assert caught.value.param == next(iter(fields))
    assert caught.value.request_id
    assert len(tries) == 1


async def test_a_wrong_key_is_an_authentication_error(served: Served) -> None:
    tries: list[str] = []
    async with sdk(served, key="sk-wrong") as client:
        count_tries(client, tries)
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.audio.speech.create(**DEFAULTS)  # type: ignore[arg-type]
    assert caught.value.code == "invalid_api_key"
    assert len(tries) == 1


async def test_a_busy_server_is_tried_again() -> None:
    engine = FixedEngine(CODES)
    async with serving(engine, settings=settings_for_tests(max_concurrent_requests=1)) as served:
        tries: list[str] = []
        async with sdk(served) as client:
            count_tries(client, tries)
            async with served.service.admission.slot():
                with pytest.raises(openai.RateLimitError) as caught:
                    await client.with_options(max_retries=1).audio.speech.create(**DEFAULTS)  # type: ignore[arg-type]
        assert caught.value.code == "overloaded"
        assert len(tries) == 2


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_a_failure_in_mid_stream_breaks_the_stream(stream_format: str) -> None:
    """As httpx says it: the SDK passes on what happens while a caller iterates."""
    engine = FixedEngine(CODES, stall_after=8, error=EngineError("failed"))
    async with serving(engine) as served, sdk(served) as client:
        speech = client.audio.speech.with_streaming_response
        asked = speech.create(**DEFAULTS, response_format="pcm", stream_format=stream_format)  # type: ignore[arg-type]
        with pytest.raises(httpx2.RemoteProtocolError):
            async with asked as answer:
                async for _ in answer.iter_bytes():
                    engine.go_on.set()
        assert engine.go_on.is_set()


async def test_a_failure_in_mid_stream_is_a_connection_error_of_create() -> None:
    """Which has to read everything, so that it can try again."""
    engine, tries = FixedEngine(CODES, stall_after=8, error=EngineError("failed")), list[int]()

    async def go_on(answer: httpx2.Response) -> None:
        tries.append(answer.status_code)
        engine.go_on.set()

    async with serving(engine) as served, sdk(served, max_retries=1) as client:
        client._client.event_hooks["request"].append(hold(engine))
        client._client.event_hooks["response"].append(go_on)
        with pytest.raises(openai.APIConnectionError):
            await client.audio.speech.create(**DEFAULTS)  # type: ignore[arg-type]
    assert tries == [200, 200]


def hold(engine: FixedEngine) -> Callable[[object], Awaitable[None]]:
    """A hook that lets the engine wait for the answer's status."""

    async def clear(_: object) -> None:
        engine.go_on.clear()

    return clear


async def test_its_list_of_models_holds_ours(served: Served) -> None:
    async with sdk(served) as client:
        names = [model.id async for model in client.models.list()]
        assert (await client.models.retrieve(names[0])).id == names[0]


def count_tries(client: AsyncOpenAI, tries: list[str]) -> None:
    """Note every request that leaves."""

    async def note(request: object) -> None:
        tries.append(str(request))

    client._client.event_hooks["request"].append(note)


def httpx2_error() -> type[Exception]:
    """Return the exception that the SDK passes on if a streamed body is aborted."""
    import httpx2

    return httpx2.RemoteProtocolError
