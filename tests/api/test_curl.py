"""Requests with curl."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.audio_checks import decoded
from tests.fakes import FixedEngine, tone_codes
from tests.live_server import SPEECH, Served, serving, settings_for_tests

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
CODES = tone_codes(150)
JSON = ("-H", "content-type: application/json")
KEY = ("-H", "authorization: Bearer sk-curl")


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    async with serving(
        FixedEngine(CODES), settings=settings_for_tests(api_keys=("sk-curl",))
    ) as running:
        yield running


async def curl(served: Served, *arguments: str, **fields: object) -> tuple[int, bytes]:
    """curl's exit code and output for a text with further fields."""
    body = json.dumps({"input": "Hello.", **fields})
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-d", body, *arguments, served.url + SPEECH),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output


@pytest.mark.parametrize("stream", [True, False])
async def test_a_text_alone_gives_an_mp3(served: Served, stream: bool) -> None:
    exit_code, mp3 = await curl(served, *JSON, *KEY, stream=stream)
    assert exit_code == 0
    assert len(CODES) * 480 <= len(decoded(mp3, 24_000)) <= len(CODES) * 480 + 3 * 1152


async def test_a_file_is_written_while_it_streams(served: Served, tmp_path: Path) -> None:
    exit_code, _ = await curl(
        served, "-N", "-o", str(tmp_path / "out.pcm"), *JSON, *KEY, response_format="pcm"
    )
    assert exit_code == 0
    assert (tmp_path / "out.pcm").stat().st_size == len(CODES) * 480 * 2


@pytest.mark.parametrize(
    ("arguments", "fields", "code"),
    [
        ((*JSON, *KEY), {"voice": "nobody"}, "voice_not_found"),
        (JSON, {}, "invalid_api_key"),
    ],
)
async def test_a_refusal_says_why_and_fails_where_curl_is_asked_to(
    served: Served, arguments: tuple[str, ...], fields: dict[str, object], code: str
) -> None:
    exit_code, answer = await curl(served, *arguments, **fields)
    assert (exit_code, json.loads(answer)["error"]["code"]) == (0, code)
    exit_code, _ = await curl(served, "--fail", *arguments, **fields)
    assert exit_code == 22


async def test_a_body_sent_as_a_form_is_told_its_content_type(served: Served) -> None:
    """`curl -d` sends a form unless a header is given."""
    _, answer = await curl(served, *KEY)
    assert "Content-Type: application/json" in json.loads(answer)["error"]["message"]
