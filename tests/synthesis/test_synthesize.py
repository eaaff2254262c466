"""The synthesis as a whole: the engine's bytes in, the answer's bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.request_planner import RequestPlanner
from app.api.schemas import SpeechRequest
from app.audio.samples import Samples
from app.audio.whole_body import WholeBody
from app.codec import CodeWindow
from app.config.profiles import load_profile
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from app.engine import Generation, OnTokens, Sampling
from app.engine.vllm.completion import Completion
from app.errors import DeadlineExceeded, EngineTruncated
from app.synthesis.attempt import Backend
from app.synthesis.request import SynthesisRequest
from app.synthesis.stats import SynthesisStats
from app.synthesis.synthesize import Synthesis
from app.text.preparation import TextPreparation
from app.text.pronunciations import Pronunciations
from tests.engine.scripted import events
from tests.fakes import ToneCodec, tone_codes, tone_spec
from tests.live_server import settings_for_tests
from tests.waiting import until

CODES = tone_codes(90)
ANSWER = b"".join(events(CODES, per_event=3))
PROFILE = load_profile("scicom")
SENTENCE = "A sentence that takes about four seconds is long enough for all these codes."


class SplitEngine:
    """Reads one answer in the pieces given, and lets the others work after some of them."""

    def __init__(self, cuts: Sequence[int], rests: Sequence[int]) -> None:
        self._pieces = [
            ANSWER[start:end] for start, end in pairwise([0, *sorted(cuts), len(ANSWER)])
        ]
        self._rests = set(rests)

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        """The numbers as the pieces complete them."""
        completion = Completion(PROFILE.tokens, None)
        for place, piece in enumerate(self._pieces):
            if numbers := completion.feed(piece):
                on_tokens(numbers)
            if place % 7 in self._rests:
                await asyncio.sleep(0.001)
        on_tokens(completion.finish())
        return completion.generation()


class FailingEngine:
    """Fails once it has sent its codes and their audio is encoded; then never answers."""

    def __init__(self, stats: SynthesisStats) -> None:
        self._stats = stats
        self.prompts: list[str] = []

    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        self.prompts.append(prompt)
        if len(self.prompts) > 1:
            await asyncio.get_running_loop().create_future()
        on_tokens(tone_codes(400))
        await until(lambda: self._stats.audio_s > 1)
        raise EngineTruncated("the engine's response was cut off")


class KeptSink:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.body = b""
        self.started = False

    async def write(self, data: bytes) -> None:
        """Keep a chunk."""
        self.started = True
        self.body += data

    async def finish(self, spoken: SynthesisStats, body: WholeBody | None) -> None:
        """Nothing to end."""

    async def gone(self) -> None:
        """Never."""
        await asyncio.get_running_loop().create_future()


def planned(codec: ToneCodec, request: SpeechRequest, **settings: object) -> SynthesisRequest:
    preparation = TextPreparation(4096, Pronunciations([]))
    planner = RequestPlanner(settings_for_tests(**settings), PROFILE, codec.spec, preparation)
    return planner.plan(request)


@asynccontextmanager
async def decoding_with(codec: ToneCodec, windows: int = 8) -> AsyncGenerator[Scheduler]:
    decoder = Scheduler([codec], DeadlineQueue(BatchLimits(windows)))
    decoder.start()
    try:
        yield decoder
    finally:
        await decoder.close()


async def audio_of(cuts: Sequence[int], rests: Sequence[int], *, exact: bool) -> bytes:
    codec, sink = ToneCodec(tone_spec(seamless=exact)), KeptSink()
    request = planned(
        codec, SpeechRequest(input="Hello.", response_format="pcm", seed=None if exact else 1)
    )
    async with decoding_with(codec) as decoder:
        backend = Backend(SplitEngine(cuts, rests), decoder)  # type: ignore[arg-type]
        await Synthesis(request, backend, sink, SynthesisStats()).run()
    return sink.body


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "ladder"])
@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, len(ANSWER) - 1), max_size=40, unique=True),
    rests=st.lists(st.integers(0, 6), max_size=3),
)
def test_any_split_of_the_engines_bytes_gives_identical_audio(
    exact: bool, cuts: list[int], rests: list[int]
) -> None:
    whole = asyncio.run(audio_of([], [], exact=exact))
    assert len(whole) == len(CODES) * 480 * 2
    assert asyncio.run(audio_of(cuts, rests, exact=exact)) == whole


class WindowCodec(ToneCodec):
    """A codec whose boundaries can be heard: the loudness of a window tells its length."""

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        return [
            samples * np.float32(0.5 + len(window.codes) / 1000)
            for window, samples in zip(windows, super().decode(windows), strict=True)
        ]


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "ladder"])
async def test_a_request_with_a_seed_sounds_the_same_in_a_crowd(exact: bool) -> None:
    spec = tone_spec(seamless=exact)
    codec = ToneCodec(spec) if exact else WindowCodec(spec)
    request = planned(codec, SpeechRequest(input="Hello.", response_format="pcm", seed=1))
    crowd = planned(codec, SpeechRequest(input="Hello.", response_format="pcm"))

    async def audio(request: SynthesisRequest, decoder: Scheduler) -> bytes:
        sink = KeptSink()
        backend = Backend(SplitEngine([], []), decoder)  # type: ignore[arg-type]
        await Synthesis(request, backend, sink, SynthesisStats()).run()
        return sink.body

    async with decoding_with(codec, windows=2) as decoder:
        alone = await audio(request, decoder)
        codec.free.clear()
        crowded = [
            asyncio.create_task(audio(each, decoder)) for each in (crowd, request, *[crowd] * 5)
        ]
        await until(lambda: decoder.waiting > 2)
        codec.free.set()
        answers = await asyncio.gather(*crowded)
    assert max(len(batch) for batch in codec.batches) == 2
    assert answers[1] == alone


async def test_a_retry_has_no_more_time_than_the_request_had() -> None:
    """The audio that the first attempt encoded extends the time limit of this attempt alone."""
    codec, stats = ToneCodec(tone_spec(seamless=True)), SynthesisStats()
    request = planned(codec, SpeechRequest(input=SENTENCE, stream=False), request_timeout_s=1)
    engine = FailingEngine(stats)
    async with decoding_with(codec) as decoder:
        backend = Backend(engine, decoder)  # type: ignore[arg-type]
        running = asyncio.create_task(Synthesis(request, backend, KeptSink(), stats).run())
        await until(lambda: len(engine.prompts) == 2)
        async with asyncio.timeout(1.5):
            with pytest.raises(DeadlineExceeded):
                await running


async def test_a_decoded_segment_lets_the_one_after_the_next_start() -> None:
    codec, sink = ToneCodec(tone_spec(seamless=True)), KeptSink()
    request = planned(
        codec, SpeechRequest(input="Hello there. [pause:100ms] " * 4, response_format="pcm")
    )
    async with decoding_with(codec) as decoder:
        backend = Backend(SplitEngine([], []), decoder)  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            await Synthesis(request, backend, sink, SynthesisStats()).run()
    assert len(sink.body) >= 4 * len(CODES) * 480 * 2
