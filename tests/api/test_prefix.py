"""Routes behind a prefix (uvicorn's --root-path, a mount, Ray) behave as without one."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator

import pytest

from app.api.otel import TELEMETRY
from app.api.paths import route_path
from tests.cloning.recordings import recording
from tests.fakes import UNREACHABLE, FixedEngine
from tests.live_server import HELLO, SPEECH, Served, good_request, serving, settings_for_tests


@pytest.fixture(params=["", "/tts"])
async def served(request: pytest.FixtureRequest) -> AsyncGenerator[Served]:
    settings = settings_for_tests(engine_urls=UNREACHABLE)
    async with serving(FixedEngine(range(100)), settings=settings) as running:
        running.server.config.root_path = (
            request.param
        )  # as uvicorn puts before every path of a new connection
        yield running
        await good_request(running)


@pytest.mark.parametrize(
    ("path", "prefix", "route"),
    [
        ("/v1/audio/speech", "", "/v1/audio/speech"),
        ("/tts/v1/audio/speech", "/tts", "/v1/audio/speech"),
        ("/v1/audio/speech", "/tts", "/v1/audio/speech"),
        ("/ttsx/v1", "/tts", "/ttsx/v1"),
    ],
)
def test_the_route_is_what_stands_behind_the_prefix(path: str, prefix: str, route: str) -> None:
    assert route_path({"path": path, "root_path": prefix}) == route


async def test_uploads_have_their_room(served: Served) -> None:
    large = recording("wav", 60.0, 48_000)
    assert len(large) > 5_000_000
    files, fields = {"audio_sample": ("x.wav", large)}, {"name": "ana", "reference_text": "Hello."}
    answer = await served.client.post("/v1/audio/voices", files=files, data=fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "reference_too_long")


async def test_refusals_are_counted(served: Served) -> None:
    row = 'tts_requests_total{outcome="voice_not_found"}'
    before = await served.metric(row)
    await served.client.post(SPEECH, json={**HELLO, "voice": "nobody"})
    assert await served.metric(row) == before + 1


async def test_probes_are_neither_in_the_log_nor_traced(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="app"):
        await served.client.get("/health")
    assert [
        record for record in caplog.records if record.name == "app.api.middleware.access_log"
    ] == []
    prefix = served.server.config.root_path
    assert TELEMETRY["exclude"]({"type": "http", "path": f"{prefix}/health", "root_path": prefix})
    assert not TELEMETRY["exclude"](
        {"type": "http", "path": f"{prefix}{SPEECH}", "root_path": prefix}
    )
