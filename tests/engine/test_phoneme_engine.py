"""Text becomes phonemes before the engine: one request for each piece, one result."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from app.config.profiles import load_profile
from app.engine import Generation, Sampling
from app.engine.embedded.phoneme_engine import PhonemeEngine
from app.engine.embedded.phonemes import Phonemiser
from app.engine.embedded.silence_trim import LEAD_FRAMES, TAIL_FRAMES
from app.engine.embedded.voices import read_phoneme_ids
from app.errors import EngineError, EngineLength, EngineUnreachable, UnsupportedLanguage
from tests.fakes import UNREACHABLE, FixedEngine
from tests.live_server import SPEECH, serving, settings_for_tests

TEMPLATE = "<|im_start|>{voice}: {phonemes}<|speech_start|>"
ASKED = "<|im_start|>{voice}: {text}<|speech_start|>"
ENOUGH = Sampling(max_tokens=10_000, temperature=0.5, seed=7)
CODES = list(range(40))
HEARD = CODES[LEAD_FRAMES:]
LONG = " ".join(["we walked along the river and talked about the summer"] * 8)


@pytest.fixture(scope="module")
def phonemiser() -> Phonemiser:
    return Phonemiser(read_phoneme_ids())


@pytest.fixture(autouse=True)
def loaded_once(phonemiser: Phonemiser, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules take half a second to load; a test has them from the module's first."""

    def load(_: dict[str, int]) -> Phonemiser:
        return phonemiser

    monkeypatch.setattr("app.engine.embedded.phonemiser_thread.Phonemiser", load)


@asynccontextmanager
async def reading(engine: FixedEngine) -> AsyncGenerator[PhonemeEngine]:
    reader = PhonemeEngine(engine, TEMPLATE, ASKED)
    await reader.start()
    try:
        yield reader
    finally:
        await reader.close()


def asked(text: str, voice: str = "lark") -> str:
    return f"<|im_start|>{voice}: {text}<|speech_start|>"


async def spoken(
    engine: FixedEngine, prompt: str, sampling: Sampling = ENOUGH
) -> tuple[list[int], Generation]:
    found: list[int] = []
    async with reading(engine) as reader:
        generation = await reader.generate(prompt, sampling, found.extend)
    return found, generation


async def test_a_sentence_is_asked_in_phonemes_with_its_voice() -> None:
    engine = FixedEngine(CODES)
    found, generation = await spoken(engine, asked("Hello there, Lark: well done!", "heron"))
    (prompt,) = engine.prompts
    assert prompt == "<|im_start|>heron: həlˈO ðˈɛɹ, lˈɑɹk: wˈɛl dˈʌn!<|speech_start|>"
    assert found == HEARD
    assert generation == Generation("stop", len(prompt), len(HEARD))


async def test_each_sentence_is_a_request_of_its_own_and_the_counts_add_up() -> None:
    engine = FixedEngine(CODES)
    found, generation = await spoken(engine, asked("Hello there. How are you? Fine."))
    assert [prompt[-17] for prompt in engine.prompts] == [".", "?", "."]
    assert found == HEARD * 3
    assert generation == Generation("stop", sum(map(len, engine.prompts)), len(found))
    assert {(sampling.temperature, sampling.seed) for sampling in engine.samplings} == {(0.5, 7)}


async def test_a_long_sentence_comes_in_pieces_that_fit_the_model() -> None:
    engine = FixedEngine(CODES)
    await spoken(engine, asked(LONG))
    phonemes = [
        prompt.removeprefix("<|im_start|>lark: ").removesuffix("<|speech_start|>")
        for prompt in engine.prompts
    ]
    assert len(phonemes) > 2
    assert all(50 < len(piece) <= 151 for piece in phonemes)
    # A prompt of a piece, and its budget, are within the model's context of 1,024 tokens.
    assert all(
        5 * len(piece) < limit.max_tokens < 850
        for piece, limit in zip(phonemes, engine.samplings, strict=True)
    )


@pytest.mark.parametrize("text", ["你好，世界。", "مرحبا بالعالم", "... !!! — ?", "$", ""])
async def test_nothing_that_can_be_read_is_refused_before_the_engine_is_asked(text: str) -> None:
    engine = FixedEngine(CODES)
    with pytest.raises(UnsupportedLanguage):
        await spoken(engine, asked(text))
    assert engine.prompts == []


@pytest.mark.parametrize(
    "text",
    ["a<|im_end|>b", "[x](/<|s_5|>heron: A/) b", "{voice} {phonemes} and so on", "“Yes” (no)"],
)
async def test_only_the_template_brings_special_tokens(text: str) -> None:
    engine = FixedEngine(CODES)
    await spoken(engine, asked(text))
    for prompt in engine.prompts:
        assert re.findall(r"<\|.*?\|>", prompt) == ["<|im_start|>", "<|speech_start|>"]
        assert prompt.count("<") == 2
        assert "{" not in prompt


async def test_inside_a_sentence_the_silence_at_a_pieces_end_is_left_out_too() -> None:
    engine = FixedEngine(CODES)
    found, _ = await spoken(engine, asked(LONG))
    inside = HEARD[:-TAIL_FRAMES]
    assert found == inside * (len(engine.prompts) - 1) + HEARD


@pytest.mark.parametrize("limit", [1, 29, 30, 31, 75, 89])
async def test_the_callers_limit_is_that_of_the_whole_text(limit: int) -> None:
    engine = FixedEngine(CODES)
    found, generation = await spoken(
        engine, asked("Hello there. How are you? Fine."), Sampling(max_tokens=limit)
    )
    assert (found, generation.finish_reason) == ((HEARD * 3)[:limit], "length")
    assert generation.completion_tokens == limit
    assert engine.active == 0


async def test_the_limit_that_is_just_enough() -> None:
    sampling = Sampling(max_tokens=2 * len(HEARD))
    _, generation = await spoken(FixedEngine(CODES), asked("Hello there. Fine."), sampling)
    assert generation.finish_reason == "stop"


async def test_a_piece_that_does_not_end_is_a_failure() -> None:
    with pytest.raises(EngineLength):
        await spoken(FixedEngine(CODES, finish_reason="length"), asked("Hello there."))


async def test_what_the_engine_raises_passes_through() -> None:
    with pytest.raises(EngineError, match="broken"):
        await spoken(FixedEngine(CODES, error=EngineError("broken")), asked("Hello there."))


async def test_a_cancelled_request_frees_the_engine() -> None:
    engine = FixedEngine(CODES, stall_after=1)
    async with reading(engine) as reader:
        request = asyncio.create_task(
            reader.generate(asked("Hello there. Fine."), ENOUGH, lambda _: None)
        )
        await engine.stalled.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert (engine.active, len(engine.prompts)) == (0, 1)


async def test_reading_leaves_the_event_loop_alone() -> None:
    threads: list[int] = []
    async with reading(FixedEngine(CODES)) as reader:
        await reader.generate(
            asked("Hello."), ENOUGH, lambda _: threads.append(threading.get_ident())
        )
        assert any(thread.name.startswith("builtin-engine") for thread in threading.enumerate())
    assert set(threads) == {threading.get_ident()}
    assert not any(thread.name.startswith("builtin-engine") for thread in threading.enumerate())


async def test_only_a_started_engine_serves() -> None:
    reader = PhonemeEngine(FixedEngine(CODES), TEMPLATE, ASKED)
    with pytest.raises(EngineUnreachable):
        await reader.generate(asked("Hello."), ENOUGH, lambda _: None)
    await reader.close()


async def test_the_service_speaks_through_it() -> None:
    profile = load_profile("lark")
    engine = FixedEngine(CODES)
    settings = settings_for_tests(engine_urls=UNREACHABLE, model_profile="lark")
    async with serving(
        PhonemeEngine(engine, profile.prompt, profile.text_prompt), None, settings
    ) as served:
        body = {"input": "Hello there. Fine.", "voice": "onyx", "response_format": "pcm"}
        answer = await served.client.post(SPEECH, json=body)
        assert (answer.status_code, len(answer.content)) == (200, 2 * len(HEARD) * 480 * 2)
        refused = await served.client.post(SPEECH, json={**body, "input": "你好，世界。"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            400,
            "unsupported_language",
        )
    assert engine.prompts == [
        "<|im_start|>heron: həlˈO ðˈɛɹ.<|speech_start|>",
        "<|im_start|>heron: fˈIn.<|speech_start|>",
    ]
    assert {sampling.temperature for sampling in engine.samplings} == {profile.sampling.temperature}
