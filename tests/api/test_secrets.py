"""Keys and texts are never logged: not at debug level, not on failures, not in metrics."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.api.test_cloning import CountingEncoder
from tests.cloning.recordings import recording
from tests.engine.scripted import (
    Close,
    ScriptedEngine,
    Send,
    Step,
    choice,
    chunk,
    completion,
    event,
    head,
    refusal,
)
from tests.fakes import ToneCodec, tone_codes
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests

KEY, WRONG_KEY, ENGINE_KEY = "sk-zebra-1", "sk-walrus-2", "sk-lemur-3"
TEXT = "Quagmire Zephyrine is at home"
SECRETS = (KEY, WRONG_KEY, ENGINE_KEY, "Quagmire", "Zephyrine", "quagmire")
CODES = tone_codes(120)
ECHO = json.dumps(
    {"error": {"message": f"cannot say {TEXT} with {ENGINE_KEY}", "type": "x", "code": 400}}
).encode()


def failures() -> list[list[Step]]:
    """Engines that fail, some of which tell what they were asked."""
    return [
        refusal(500, ECHO),
        refusal(400, ECHO),
        refusal(401, ECHO),
        [*completion(CODES)[:60], Send(chunk(event({"error": {"message": TEXT}}))), Close()],
        [
            Send(head()),
            Send(chunk(event(choice(TEXT)) + b"data: " + TEXT.encode() + b"\n\n")),
            Close(),
        ],
        [Close()],
    ]


async def ask_everything(served: Served, failing: int) -> None:
    """Every route that takes a text or a key, well and badly, and engines that fail."""
    ours = {"authorization": f"Bearer {KEY}"}
    body: dict[str, object] = {**HELLO, "input": TEXT}
    for _ in range(failing):
        try:
            await served.client.post(SPEECH, json=body, headers=ours)
        except httpx.RemoteProtocolError:
            continue
    for fields in (
        {},
        {"stream": False},
        {"stream_format": "sse"},
        {"voice": TEXT},
        {"model": TEXT},
        {"speed": TEXT},
    ):
        await served.client.post(
            SPEECH, json={**body, "instructions": TEXT, **fields}, headers=ours
        )
    await served.client.post(SPEECH, content=b'{"input": "' + TEXT.encode(), headers=ours)
    await served.client.post(
        SPEECH, json={**body, TEXT: TEXT}, headers={"authorization": f"Bearer {WRONG_KEY}"}
    )
    await served.client.post("/v1/audio/normalize", json={"input": TEXT}, headers=ours)
    form = {
        "name": "Quagmire",
        "reference_text": TEXT,
        "generate_text": TEXT,
        "response_format": "pcm",
    }
    for route, field in (("/v1/audio/voices", "audio_sample"), ("/v1/audio/vc", "reference_audio")):
        for data in (recording("wav", 2.0), TEXT.encode()):
            await served.client.post(
                route, data=form, files={field: ("Quagmire.wav", data)}, headers=ours
            )
    await speak_over_a_socket(served)


async def speak_over_a_socket(served: Served) -> None:
    """A good utterance, and messages that are none."""
    url = f"ws://127.0.0.1:{served.port}/v1/audio/speech/stream"
    async with connect(
        url, proxy=None, additional_headers={"authorization": f"Bearer {KEY}"}
    ) as client:
        await client.send(f"{{{TEXT}")
        await client.send(json.dumps({"type": "session", "voice": TEXT}))
        await client.send(json.dumps({"type": "text", "text": TEXT}))
        await client.send(json.dumps({"type": "end"}))
        while not (
            isinstance(message := await client.recv(), str)
            and json.loads(message)["type"] == "done"
        ):
            pass


def leaks(told: Sequence[str]) -> list[str]:
    """Return the secrets that a text contains."""
    return [f"{secret}: {line[:200]}" for line in told for secret in SECRETS if secret in line]


@pytest.mark.process
@pytest.mark.fault(39)
async def test_no_key_and_no_text_is_logged_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    scripts = failures()
    async with ScriptedEngine(scripts, good=CODES) as engine:
        settings = settings_for_tests(
            engine_urls=engine.url, tts_api_key=ENGINE_KEY, api_keys=KEY, log_level="debug"
        )
        async with serving(None, ToneCodec(), settings, load_encoder=CountingEncoder) as served:
            await ask_everything(served, len(scripts))
            told = [
                f"{record.name}: {caplog.handler.format(record)}"
                for record in caplog.records
                if served_by(record)
            ]
            told += (await served.client.get("/metrics")).text.splitlines()
            told.append(repr(served.service.settings))
            served.client.headers["authorization"] = f"Bearer {KEY}"
            await good_request(served)
    assert len(engine.requests) > len(scripts)
    assert any(line.startswith("app") for line in told)
    assert leaks(told) == []


def served_by(record: logging.LogRecord) -> bool:
    """Return if a record is of the service, not of this test's clients."""
    return not record.name.startswith(("httpx", "httpcore", "websockets.client", "hypothesis"))
