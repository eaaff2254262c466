"""The built-in language model in a real vLLM: its tokens, and text to speech.

VOICE_WEIGHTS names other weights than those that ship.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from app.codec.builtin.load import load_builtin_codec
from app.config.profiles import load_profile
from app.config.settings import Settings
from app.engine import Engine, Generation, Sampling
from app.engine.embedded.engine import BuiltinEngine
from app.engine.embedded.phonemes import PhonemeChunk, Phonemiser
from app.engine.embedded.voices import read_phoneme_ids
from app.engine.vllm.client import VllmEngine
from app.text.prompt import render
from tests.live_server import SPEECH, Served, serving, settings_for_tests
from tests.vllm.server import vllm_server
from training.export import SHIPPED, expand, export
from training.language_model import LanguageModel, read_language_model
from training.speakers import speak_lm

if TYPE_CHECKING:
    from bench.judge import Judge

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

PROFILE = load_profile("lark")
VOICES = PROFILE.voices.names
WEIGHTS = Path(os.environ.get("VOICE_WEIGHTS") or SHIPPED)
SENTENCES = Path(__file__).parents[2] / "bench" / "sentences.txt"
TEXTS = SENTENCES.read_text(encoding="utf-8").splitlines()[:10]
SPOKEN = [(text, VOICES[number % len(VOICES)]) for number, text in enumerate(TEXTS)]
RATE_HZ = 24_000
OPTIONS = (
    "--dtype",
    "float32",
    "--max-num-seqs",
    "8",
)  # by itself vLLM would round float32 to bfloat16


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    if not WEIGHTS.exists():
        pytest.skip(f"no language model: {WEIGHTS} is missing")
    torch.set_num_threads(1)
    return read_language_model(WEIGHTS.read_bytes())


@pytest.fixture(scope="module")
def url(model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A vLLM that serves the exported model, in float32 as here."""
    folder = tmp_path_factory.mktemp("voice")
    export(WEIGHTS, folder / PROFILE.model, torch.float32)
    with vllm_server(folder / PROFILE.model, PROFILE.model, folder / "log.txt", *OPTIONS) as url:
        yield url


def served_voice(url: str) -> Settings:
    return settings_for_tests(engine_urls=url, model_profile="lark")


@pytest.fixture(scope="module")
def pieces() -> list[list[int]]:
    """The phonemes of each text; none is so long that it is cut."""
    phonemiser = Phonemiser(read_phoneme_ids())
    found = [phonemiser.chunks(text) for text in TEXTS]
    assert {len(cut) for cut in found} == {1}
    return [cut[0].ids for cut in found]


async def test_the_likeliest_tokens_are_those_of_transformers(
    url: str, model: LanguageModel, pieces: list[list[int]]
) -> None:
    engine = VllmEngine(url, PROFILE.model, PROFILE.tokens)
    await engine.start()
    try:
        answers = await asyncio.gather(
            *(greedy(engine, ids, voice) for ids, (_, voice) in zip(pieces, SPOKEN, strict=True))
        )
    finally:
        await engine.close()
    assert [end for _, end in answers] == [
        Generation("stop", len(ids) + 1, len(codes) + 1)
        for ids, (codes, _) in zip(pieces, answers, strict=True)
    ]
    own = generated(model, pieces)
    same = sum(codes == ours for (codes, _), ours in zip(answers, own, strict=True))
    print(f"{same} of {len(own)} answers equal those of transformers")
    assert (
        same >= 7
    )  # two orders of addition now and then choose between codes that are nearly as likely


def generated(model: LanguageModel, pieces: list[list[int]]) -> list[list[int]]:
    """The likeliest tokens for each text, by transformers."""
    expanded = expand(model)
    return [
        speak_lm(expanded, [ids], voice, 0.0, seed=0)[0]
        for ids, (_, voice) in zip(pieces, SPOKEN, strict=True)
    ]


async def greedy(engine: VllmEngine, ids: list[int], voice: str) -> tuple[list[int], Generation]:
    """The likeliest tokens for padded phoneme ids, by vLLM."""
    symbols = {number: symbol for symbol, number in read_phoneme_ids().items()}
    prompt = render(
        PROFILE.prompt, voice=voice, phonemes="".join(symbols[number] for number in ids[1:-1])
    )
    codes: list[int] = []
    return codes, await engine.generate(
        prompt,
        Sampling(max_tokens=PhonemeChunk(ids, ends_sentence=True).max_frames, temperature=0),
        codes.extend,
    )


async def test_speech_is_understood_as_well_as_the_embedded_engine_s(url: str) -> None:
    pytest.importorskip("faster_whisper", reason="make setup-judge installs the recogniser")
    from bench.judge import Judge, word_error_rate

    judge = Judge()
    served = await heard(judge, served_voice(url))
    embedded = await heard(judge, settings_for_tests(model_profile="lark"), BuiltinEngine())
    wer, embedded_wer = word_error_rate(TEXTS, served), word_error_rate(TEXTS, embedded)
    print(f"words misheard: {wer:.3f} with vLLM, {embedded_wer:.3f} embedded")
    assert wer <= embedded_wer + 0.03


async def heard(judge: Judge, settings: Settings, engine: Engine | None = None) -> list[str]:
    """Return a recogniser's transcript of each text, spoken by a service at temperature 0."""
    async with serving(engine, load_builtin_codec(), settings) as service:
        return [
            judge.transcribe(await spoken(service, text, voice), RATE_HZ) for text, voice in SPOKEN
        ]


async def spoken(
    service: Served, text: str, voice: str
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    body = {"input": text, "voice": voice, "response_format": "pcm", "temperature": 0}
    answer = await service.client.post(SPEECH, json=body)
    answer.raise_for_status()
    return (np.frombuffer(answer.content, "<i2") / 32767).astype(np.float32)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_seed_repeats_a_sampled_answer(url: str, stream: bool) -> None:
    body = {
        "input": "Hello there. How are you?",
        "voice": "heron",
        "response_format": "pcm",
        "stream": stream,
    }
    async with serving(None, load_builtin_codec(), served_voice(url)) as service:
        answers = [
            await service.client.post(SPEECH, json={**body, "seed": seed}) for seed in (1, 1, 2)
        ]
    assert [answer.status_code for answer in answers] == [200] * 3
    first, again, other = (np.frombuffer(answer.content, "<i2").astype(int) for answer in answers)
    assert len(first) == len(again)
    rounding = 1 if stream else 0  # the windows of a stream depend on time
    assert np.abs(first - again).max() <= rounding
    assert len(other) != len(first) or np.abs(first - other).max() > 1
    assert 1 < len(first) / RATE_HZ < 4


async def test_what_cannot_be_read_is_refused(url: str) -> None:
    async with serving(None, None, served_voice(url)) as service:
        answer = await service.client.post(SPEECH, json={"input": "你好，世界。"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_language")
