"""Requests of `say` to an application in this process."""

from __future__ import annotations

import asyncio
import errno

import pytest

from app.commands.say import SpeechFailed, speak
from app.errors import EngineError, LoadError
from app.main import create_app
from tests.fakes import UNREACHABLE, FixedEngine, ToneCodec, tone_codes
from tests.live_server import HELLO, SPEECH, serving, settings_for_tests, speech_tasks

CODES = tone_codes(200)


async def spoken(engine: FixedEngine, **options: object) -> bytes:
    """Return the audio of a request to an application with this engine."""
    chunks: list[bytes] = []
    app = create_app(settings_for_tests(), engine=engine, codec=ToneCodec(), pause=None)
    await speak(app, {**HELLO, **options}, chunks.append)
    assert speech_tasks() == []
    return b"".join(chunks)


async def test_the_audio_is_that_of_a_server() -> None:
    async with serving(FixedEngine(CODES)) as served:
        answer = await served.client.post(SPEECH, json=HELLO)
    assert answer.status_code == 200
    assert await spoken(FixedEngine(CODES), voice=None, speed=None) == answer.content


async def test_the_audio_is_written_while_it_is_generated() -> None:
    engine = FixedEngine(CODES, stall_after=10)
    app = create_app(settings_for_tests(), engine=engine, codec=ToneCodec(), pause=None)
    written = asyncio.Event()
    loop = asyncio.get_running_loop()
    chunks: list[bytes] = []

    def write(chunk: bytes) -> None:
        chunks.append(chunk)
        loop.call_soon_threadsafe(written.set)

    async with asyncio.timeout(10):
        speaking = asyncio.create_task(speak(app, HELLO, write))
        await written.wait()
        assert not engine.go_on.is_set()
        engine.go_on.set()
        await speaking
    assert len(b"".join(chunks)) == 2 * 480 * len(CODES)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"voice": "bob"}, "unknown voice; the voices are lark, heron"),
        ({"speed": 9.0}, "speed: .* less than or equal to 4"),
        ({"input": ""}, "no letter or digit"),
    ],
)
async def test_an_invalid_request_is_an_error_without_audio(
    options: dict[str, object], words: str
) -> None:
    with pytest.raises(SpeechFailed, match=words):
        await spoken(FixedEngine(CODES), **options)


@pytest.mark.parametrize("codes", [[], CODES])
async def test_a_failure_before_or_after_the_first_audio_is_an_error(codes: list[int]) -> None:
    with pytest.raises(SpeechFailed, match="the engine broke"):
        await spoken(FixedEngine(codes, error=EngineError("the engine broke")))


async def test_a_failed_write_ends_the_request_with_its_error() -> None:
    def write(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space")

    app = create_app(settings_for_tests(), engine=FixedEngine(CODES), codec=ToneCodec(), pause=None)
    with pytest.raises(OSError, match="no space"):
        await speak(app, HELLO, write)
    assert speech_tasks() == []


async def test_an_engine_that_cannot_be_reached_is_an_error() -> None:
    app = create_app(settings_for_tests(engine_urls=UNREACHABLE), codec=ToneCodec(), pause=None)
    with pytest.raises(SpeechFailed, match="the engine cannot be reached"):
        await speak(app, HELLO, lambda _: None)


class AbsentEngine(FixedEngine):
    """An engine that does not load."""

    async def start(self) -> None:
        """Fail."""
        raise LoadError("the weights are absent")


async def test_a_loading_error_is_not_retried() -> None:
    with pytest.raises(SpeechFailed, match=r"^the weights are absent$"):
        await spoken(AbsentEngine(CODES))
