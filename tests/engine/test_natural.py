"""The check for repetition accepts the built-in voice's speech."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from app.audio.silence import SilenceDetector
from app.codec import CodeWindow
from app.codec.load import CodecOptions, load_codec
from app.config.profiles import load_profile
from app.engine import Sampling
from app.engine.embedded.engine import BuiltinEngine
from app.text.duration import SpeechRate
from app.text.prompt import render
from app.tokens.repetition import LoopDetector

PROFILE = load_profile("builtin")
SENTENCES = (Path(__file__).parents[2] / "bench" / "sentences.txt").read_text().splitlines()
PROSE = [*SENTENCES[::20], " ".join(SENTENCES[:3])]
# What takes longer to say than to write, says the same often, or is silent between its words.
ODD = [
    *(
        "Thank you.",
        "7",
        "1234567890",
        "$1,234,567.89 by 12:45 on 3/4/2025.",
        "https://a.b/c?d=e&f=g#h",
        "w " * 12,
    ),
    *(
        "x, y, z. " * 4,
        "w.w.w." * 4,
        "www " * 8,
        "ha ha ha ha ha ha!",
        "No... no... no.",
        "½ ∑ 1e10",
        "ABCDEFGHIJ",
    ),
]

pytestmark = [pytest.mark.process, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[BuiltinEngine]:
    engine = BuiltinEngine()
    await engine.start()
    yield engine
    await engine.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("texts", [PROSE, ODD], ids=["prose", "odd"])
async def test_natural_speech_is_no_runaway(engine: BuiltinEngine, texts: list[str]) -> None:
    codec = load_codec(CodecOptions("builtin", "builtin"), "cpu", print)
    pace = SpeechRate(
        PROFILE.characters_per_second, codec.spec.frames_per_s, max_factor=2.0, min_factor=0.25
    )  # half of the room
    for text in texts:
        prompt = render(PROFILE.prompt, voice="lark", text=text)
        codes: list[int] = []
        await engine.generate(prompt, Sampling(max_tokens=10_000), codes.extend)
        frames = np.array(codes, np.int32)[:, None]
        bounds = pace.bounds(text)
        assert bounds.min_frames <= len(frames) < bounds.max_frames, text
        assert not LoopDetector(codec.spec.frames_per_s).feed(frames), text
        assert not SilenceDetector(codec.spec.sample_rate_hz).feed(
            codec.decode([CodeWindow(frames)])[0]
        ), text
