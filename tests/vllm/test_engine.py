from __future__ import annotations

import asyncio
import contextlib
import re
import unicodedata
import urllib.request
from collections.abc import AsyncIterator

import pytest

from app.config.profiles import TokenSyntax
from app.engine import Generation, Sampling, TokenNumbers
from app.engine.vllm.client import EngineLimits, VllmEngine
from app.errors import EngineError, InputTooLong
from app.text.clean import clean
from tests.vllm.conftest import KnownAnswer
from tests.waiting import until

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1500)]

SPEECH = TokenSyntax(prefix="<|s_", suffix="|>", first_code_number=0, codes_per_frame=1)
SAMPLING = Sampling(max_tokens=1000, temperature=0.6, repetition_penalty=1.15)
PROMPT = "<|im_start|>husein: {text}<|speech_start|>"


@contextlib.asynccontextmanager
async def opened(
    known: KnownAnswer, *, interval: int = 8, ids: bool = True, model: str | None = None
) -> AsyncIterator[VllmEngine]:
    limits = EngineLimits(stream_interval=interval)
    engine = VllmEngine(
        known.url, model or known.model, SPEECH, limits=limits, request_token_ids=ids
    )
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


async def speak(
    engine: VllmEngine, text: str = "Hello.", sampling: Sampling = SAMPLING
) -> tuple[list[int], Generation]:
    found: list[int] = []
    generation = await engine.generate(PROMPT.format(text=text), sampling, found.extend)
    return found, generation


def running(known: KnownAnswer) -> float:
    """Return the number of requests that vLLM works on."""
    with urllib.request.urlopen(f"{known.url}/metrics", timeout=5) as answer:
        found = re.search(
            r"^vllm:num_requests_running\{.*\} (\S+)$", answer.read().decode(), re.MULTILINE
        )
    assert found is not None
    return float(found[1])


async def until_running(known: KnownAnswer, count: int) -> None:
    async def reached() -> bool:
        return await asyncio.to_thread(running, known) == count

    await until(reached)


@pytest.mark.parametrize("ids", [True, False], ids=["ids", "text"])
@pytest.mark.parametrize("interval", [1, 8, 50])
async def test_the_known_answer(known_answer: KnownAnswer, ids: bool, interval: int) -> None:
    async with opened(known_answer, interval=interval, ids=ids) as engine:
        await engine.check()
        found, generation = await speak(engine)
    assert found == known_answer.codes
    prompt_tokens = len(" husein: Hello.") - 1 + 2  # one a byte, and two special ones
    assert generation == Generation("stop", prompt_tokens, len(known_answer.codes) + 1)


async def test_many_at_once(known_answer: KnownAnswer) -> None:
    async with opened(known_answer) as engine:
        answers = await asyncio.gather(*(speak(engine, f"Sentence {i}.") for i in range(16)))
    assert [found for found, _ in answers] == [known_answer.codes] * 16


async def test_the_token_limit(known_answer: KnownAnswer) -> None:
    async with opened(known_answer) as engine:
        found, generation = await speak(engine, sampling=Sampling(max_tokens=30))
    assert (found, generation.finish_reason) == (known_answer.codes[:30], "length")


async def test_cancelling_frees_the_engine(known_answer: KnownAnswer) -> None:
    speaking = asyncio.Event()

    def on_tokens(numbers: TokenNumbers) -> None:
        assert set(numbers) <= set(known_answer.loop)
        speaking.set()

    async with opened(known_answer) as engine:
        # Greedy and without a penalty: the loop would otherwise be left in the end.
        sampling = Sampling(max_tokens=2000, temperature=0)
        task = asyncio.create_task(engine.generate("<|loop_start|>", sampling, on_tokens))
        await speaking.wait()
        await until_running(known_answer, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until_running(known_answer, 0)
        assert (await speak(engine))[0] == known_answer.codes


@pytest.mark.parametrize(
    "text", ["a<|im_end|>", "a<|s_5|>", "a<|im<|s_5|>_end|>", "a＜|speech_start|＞"]
)
async def test_special_tokens_in_a_text(known_answer: KnownAnswer, text: str) -> None:
    async with opened(known_answer) as engine:
        raw, cleaned = unicodedata.normalize("NFKC", text), clean(text)
        counts = {
            spoken: (await speak(engine, spoken))[1].prompt_tokens for spoken in ("a", raw, cleaned)
        }
        assert counts["a"] is not None
        assert (
            counts[cleaned] == counts["a"] + len(cleaned) - 1
        )  # each letter a token: nothing special is left
        assert counts[raw] != counts["a"] + len(raw) - 1  # so it is vLLM that parses them
        assert (await speak(engine, cleaned))[0] == known_answer.codes


async def test_a_text_beyond_the_context(known_answer: KnownAnswer) -> None:
    async with opened(known_answer) as engine:
        for length in (2048 - len("husein: ") - 2, 5000):  # the first leaves no room for one token
            with pytest.raises(InputTooLong):
                await speak(engine, "a" * length)


async def test_a_limit_beyond_the_context_is_our_mistake(known_answer: KnownAnswer) -> None:
    async with opened(known_answer) as engine:
        with pytest.raises(EngineError):
            await speak(engine, sampling=Sampling(max_tokens=5000))


async def test_a_model_that_is_not_served(known_answer: KnownAnswer) -> None:
    async with opened(known_answer, model="another") as engine:
        with pytest.raises(EngineError):
            await speak(engine)
