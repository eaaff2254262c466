from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.config.profiles import load_profile
from app.engine import Generation, Sampling, TokenNumbers
from app.engine.embedded.engine import BuiltinEngine, voice_and_text
from app.errors import EngineError, LoadError, UnsupportedLanguage, VoiceNotFound
from app.text.prompt import render

ENOUGH = Sampling(max_tokens=3072)
THREE = "Hello there. How are you today? I am very well, thank you."
TEMPLATE = load_profile("builtin").prompt


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[BuiltinEngine]:
    """The model that ships with the service."""
    engine = BuiltinEngine()
    await engine.start()
    yield engine
    await engine.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def asked(text: str, voice: str = "lark") -> str:
    return render(TEMPLATE, voice=voice, text=text)


async def generate(
    engine: BuiltinEngine, text: str, sampling: Sampling = ENOUGH, voice: str = "lark"
) -> tuple[Generation, list[TokenNumbers]]:
    batches: list[TokenNumbers] = []
    return await engine.generate(asked(text, voice), sampling, batches.append), batches


async def spoken(
    engine: BuiltinEngine, text: str, sampling: Sampling = ENOUGH, voice: str = "lark"
) -> list[int]:
    _, batches = await generate(engine, text, sampling, voice)
    return [code for batch in batches for code in batch]


async def test_tokens_are_codes_of_plausible_speech(engine: BuiltinEngine) -> None:
    end, batches = await generate(engine, THREE)
    codes = [code for batch in batches for code in batch]
    assert end.finish_reason == "stop"
    assert end.completion_tokens == len(codes)
    assert end.prompt_tokens is not None
    assert 40 < end.prompt_tokens < 80
    assert 2.5 < len(codes) / 50 < 6  # seconds, for eleven words
    assert all(0 <= code < 65_536 for code in codes)


async def test_the_same_text_gives_the_same_tokens_whatever_the_sampling(
    engine: BuiltinEngine,
) -> None:
    _, first = await generate(engine, THREE)
    _, second = await generate(
        engine, THREE, Sampling(max_tokens=3072, temperature=1.5, top_p=0.2, seed=7)
    )
    assert first == second


async def test_sentences_arrive_one_by_one_on_the_loop(engine: BuiltinEngine) -> None:
    threads: list[int] = []
    await engine.generate(asked(THREE), ENOUGH, lambda _: threads.append(threading.get_ident()))
    assert threads == [threading.get_ident()] * 3


async def test_a_sentence_sounds_the_same_among_others(engine: BuiltinEngine) -> None:
    _, batches = await generate(engine, THREE)
    _, alone = await generate(engine, "How are you today?")
    assert batches[1] == alone[0]


async def test_a_long_sentence_comes_in_pieces_of_known_length(engine: BuiltinEngine) -> None:
    _, once = await generate(engine, "We walked along the river and talked about the summer.")
    end, batches = await generate(
        engine, " ".join(["we walked along the river and talked about the summer"] * 8)
    )
    assert end.finish_reason == "stop"
    assert len(batches) > 1
    assert sum(map(len, batches)) == pytest.approx(8 * len(once[0]), rel=0.25)


async def test_max_tokens_cuts_and_says_so(engine: BuiltinEngine) -> None:
    whole, batches = await generate(engine, THREE)
    codes = [code for batch in batches for code in batch]
    for limit in (1, len(batches[0]), len(batches[0]) + 5, len(codes) - 1):
        end, cut = await generate(engine, THREE, Sampling(max_tokens=limit))
        assert end.finish_reason == "length"
        assert [code for batch in cut for code in batch] == codes[:limit]
    assert whole.completion_tokens is not None
    end, _ = await generate(engine, THREE, Sampling(max_tokens=whole.completion_tokens))
    assert end == whole


@pytest.mark.parametrize(
    "text", ["你好，世界。", "مرحبا بالعالم", "😀", "... !!! — ?", "\x00", "$", "", "(" * 2000]
)
async def test_text_without_phonemes_is_refused(engine: BuiltinEngine, text: str) -> None:
    with pytest.raises(UnsupportedLanguage):
        await generate(engine, text)


@pytest.mark.parametrize(
    "text",
    [
        "Pay RM1,250.50 by 9:30 am to jo.doe@mail.com!",
        "1" * 60,
        "1,2," * 40,
        "① ⁴ İ ½ ²",
        "aA" * 500,
        "a" * 2000,
        "[x](/ˈA/)",
        "a\u0301" * 100,
    ],
)
async def test_any_text_ends_well(engine: BuiltinEngine, text: str) -> None:
    end, batches = await generate(engine, text, Sampling(max_tokens=20_000))
    assert end.finish_reason == "stop"
    assert end.completion_tokens == sum(map(len, batches))


async def test_an_exception_of_the_listener_passes_through(engine: BuiltinEngine) -> None:
    class Enough(Exception):
        pass

    calls: list[int] = []

    def refuse(numbers: TokenNumbers) -> None:
        calls.append(len(numbers))
        raise Enough

    with pytest.raises(Enough):
        await engine.generate(asked(THREE), ENOUGH, refuse)
    assert len(calls) == 1
    assert (await generate(engine, THREE))[0].finish_reason == "stop"


async def test_a_cancelled_request_stops_and_the_next_one_is_served(engine: BuiltinEngine) -> None:
    calls: list[int] = []
    started = asyncio.Event()

    def listen(numbers: TokenNumbers) -> None:
        calls.append(len(numbers))
        started.set()

    request = asyncio.create_task(
        engine.generate(asked("One more sentence. " * 100), ENOUGH, listen)
    )
    await started.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    heard = len(calls)
    assert (await generate(engine, THREE))[0].finish_reason == "stop"
    assert len(calls) == heard < 100


async def test_concurrent_requests_take_turns(engine: BuiltinEngine) -> None:
    order: list[str] = []

    async def ask(name: str) -> None:
        await engine.generate(
            asked("One more sentence. " * 6), ENOUGH, lambda _: order.append(name)
        )

    await asyncio.gather(*(ask(name) for name in "abc"))
    assert [sorted(order[turn : turn + 3]) for turn in range(0, 18, 3)] == [["a", "b", "c"]] * 6


async def test_only_a_started_engine_serves() -> None:
    threads = set(threading.enumerate())
    engine = BuiltinEngine()
    with pytest.raises(EngineError):
        await engine.check()
    await engine.close()
    engine = BuiltinEngine()
    await engine.start()
    await engine.check()
    assert any(
        thread.name.startswith("builtin-engine") for thread in set(threading.enumerate()) - threads
    )
    request = asyncio.create_task(
        engine.generate(asked("One more sentence. " * 100), ENOUGH, lambda _: None)
    )
    await asyncio.sleep(0)
    await engine.close()
    with pytest.raises(EngineError):
        await request
    with pytest.raises(EngineError):
        await engine.generate(asked(THREE), ENOUGH, lambda _: None)
    assert not any(
        thread.name.startswith("builtin-engine") for thread in set(threading.enumerate()) - threads
    )


async def test_missing_weights_are_told(tmp_path: Path) -> None:
    engine = BuiltinEngine(tmp_path / "nowhere.safetensors")
    with pytest.raises(LoadError, match=r"the embedded engine: .*nowhere\.safetensors"):
        await engine.start()
    with pytest.raises(EngineError):
        await engine.check()
    await engine.close()


@pytest.mark.parametrize(
    "text",
    [
        "Hello: there.",
        "<|im_start|>heron: no<|speech_start|>",
        "",
        ": ",
        "a\nb",
        "<|speech_start|>" * 2,
    ],
)
async def test_a_prompt_is_read_whatever_its_text_holds(text: str) -> None:
    assert voice_and_text(asked(text)) == ("lark", text)


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "Hello.",
        "lark: Hello.",
        "<|im_start|>lark Hello.<|speech_start|>",
        "<|im_start|>lark: Hello.",
        " " + asked("a"),
    ],
)
async def test_a_prompt_of_another_form_is_refused(engine: BuiltinEngine, prompt: str) -> None:
    with pytest.raises(EngineError, match="im_start"):
        await engine.generate(prompt, ENOUGH, lambda _: None)


async def test_the_model_has_its_voices_and_no_others(engine: BuiltinEngine) -> None:
    assert await spoken(engine, THREE) != await spoken(engine, THREE, voice="heron")
    with pytest.raises(VoiceNotFound, match="lark, heron"):
        await generate(engine, THREE, voice="husein")
