"""The fixed requests, the scripted engine, and both on real sockets with the service."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from app.config.profiles import load_profile
from app.engine import Sampling
from app.engine.vllm.client import VllmEngine
from bench.answers import compare
from bench.fixed_requests import FORMATS, fixed_requests
from bench.identical import Target, commit
from bench.scripted_engine import NEUCODEC, SNAC, TokenScript, scripted_engine
from tests.live_server import serving, settings_for_tests

REQUESTS = {request.name: request for request in fixed_requests()}
SAMPLED = ("wav whole", "sse mp3 streamed", "opus 48000 streamed", "pauses at 1.5", "WebSocket pcm")


def test_there_are_fifty_requests_with_seeds_over_all_formats_streamed_and_whole() -> None:
    assert len(REQUESTS) == len(fixed_requests()) == 50
    assert all("seed" in request.fields for request in REQUESTS.values())
    assert {f"{name} {kind}" for name in FORMATS for kind in ("streamed", "whole")} <= set(REQUESTS)


@pytest.mark.parametrize(
    ("script", "preset", "vocabulary"), [(NEUCODEC, "scicom", 65_536), (SNAC, "orpheus", 4_096)]
)
async def test_an_engine_repeats_its_tokens(
    script: TokenScript, preset: str, vocabulary: int
) -> None:
    syntax = load_profile(preset).tokens

    async def tokens(prompt: str, most: int) -> tuple[list[int], str]:
        numbers: list[int] = []
        async with scripted_engine(script) as engine:
            client = VllmEngine(engine.url, "model", syntax)
            await client.start()
            await client.check()
            generation = await client.generate(prompt, Sampling(max_tokens=most), numbers.extend)
            await client.close()
            assert [body["prompt"] for body in engine.received] == [prompt]
        return numbers, generation.finish_reason

    numbers, reason = await tokens("a" * 100, 1_000)
    assert (numbers, reason) == (script.numbers("a" * 100), "stop")
    assert len(numbers) % syntax.codes_per_frame == 0
    assert (
        syntax.first_code_number
        <= min(numbers)
        <= max(numbers)
        < syntax.first_code_number + syntax.codes_per_frame * vocabulary
    )
    assert await tokens("a" * 100, 7) == (numbers[:7], "length")
    assert (await tokens("b" * 100, 7))[0] != numbers[:7]


async def test_the_service_answers_alike_twice() -> None:
    async with scripted_engine(NEUCODEC) as engine:
        settings = settings_for_tests(engine_urls=engine.url)
        async with (
            serving(settings=settings) as served,
            aiohttp.ClientSession(served.url) as session,
        ):
            target = Target(session, engine)
            for name in SAMPLED:
                request = REQUESTS[name]
                first = await target.answer(request, request.fields)
                again = await target.answer(request, request.fields)
                assert compare(first, again, request.fields).kind == "identical", name
                assert first.facts["engine requests"]


def test_a_folder_without_the_service_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="python -m app would run"):
        commit(tmp_path)
