"""CORS: only allowed origins may read answers, and an aborted body stays aborted."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator

import httpx
import pytest

from app.errors import EngineError
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import HELLO, SPEECH, Served, serving, settings_for_tests

PAGE = "https://page.example"
CODES = tone_codes(300)
KEYED = {"origin": PAGE, "authorization": "Bearer key"}
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,x-stainless-os",
}


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    settings = settings_for_tests(cors_origins=(PAGE,), api_keys=("key",))
    async with serving(FixedEngine(CODES), settings=settings) as running:
        yield running


async def test_a_preflight_needs_no_key_and_allows_what_the_clients_send(served: Served) -> None:
    answer = await served.client.options(SPEECH, headers={"origin": PAGE, **PREFLIGHT})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-stainless-os" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_another_origin_is_not_allowed(served: Served) -> None:
    other = {"origin": "https://evil.example"}
    assert (await served.client.options(SPEECH, headers={**other, **PREFLIGHT})).status_code == 400
    answer = await served.client.post(SPEECH, json=HELLO, headers={**KEYED, **other})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("fields", [{}, {"stream": False}, {"voice": "nobody"}, {"speed": 9}])
async def test_a_page_may_read_our_headers_of_every_answer(
    served: Served, fields: dict[str, object]
) -> None:
    for key in ("key", "wrong"):
        headers = {**KEYED, "authorization": f"Bearer {key}"}
        answer = await served.client.post(SPEECH, json={**HELLO, **fields}, headers=headers)
        assert answer.headers["access-control-allow-origin"] == PAGE
        shown = {
            name.strip() for name in answer.headers["access-control-expose-headers"].split(",")
        }
        ours = {name for name in answer.headers if name.startswith("x-")} - {"x-accel-buffering"}
        assert ours
        assert ours <= shown


async def test_a_page_sees_a_bug_as_the_500_that_it_is() -> None:
    settings = settings_for_tests(cors_origins=("*",))
    async with serving(FixedEngine([], error=KeyError("a bug")), settings=settings) as served:
        answer = await served.client.post(SPEECH, json=HELLO, headers={"origin": PAGE})
        assert answer.status_code == 500
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_unset_nothing_is_allowed() -> None:
    async with serving(FixedEngine(CODES)) as served:
        answer = await served.client.post(SPEECH, json=HELLO, headers={"origin": PAGE})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert (
            await served.client.options(SPEECH, headers={"origin": PAGE, **PREFLIGHT})
        ).status_code == 405


@pytest.fixture
async def breaking() -> AsyncGenerator[Served]:
    """An engine that fails in mid-stream, behind everything that can stand before the routes."""
    settings = settings_for_tests(
        cors_origins=(PAGE,), api_keys=("key",), max_concurrent_requests_per_key=2
    )
    engine = FixedEngine(CODES, stall_after=8, error=EngineError("failed"))
    async with serving(engine, settings=settings) as running:
        yield running
        await running.settle()
        engine.error = None
        assert (await running.client.post(SPEECH, json=HELLO, headers=KEYED)).status_code == 200


def go_on(breaking: Served) -> None:
    """Let the engine come to its failure."""
    engine = breaking.service.engine
    assert isinstance(engine, FixedEngine)
    engine.go_on.set()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_sees_a_failure_in_mid_stream(breaking: Served) -> None:
    headers = [part for name, value in KEYED.items() for part in ("-H", f"{name}: {value}")]
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-N", "-d", '{"input": "Hello."}', *headers),
        *("-H", "content-type: application/json", breaking.url + SPEECH),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    assert await process.stdout.read(1)  # so the status was 200
    go_on(breaking)
    await process.communicate()
    assert process.returncode == 18


async def test_httpx_sees_a_failure_in_mid_stream(breaking: Served) -> None:
    received = b""
    with pytest.raises(httpx.RemoteProtocolError):
        async with breaking.client.stream("POST", SPEECH, json=HELLO, headers=KEYED) as answer:
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == PAGE
            async for chunk in answer.aiter_raw():
                received += chunk
                go_on(breaking)
    assert received
