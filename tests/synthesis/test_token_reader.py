"""Token generation of segments: two engine requests at most, none far ahead, none lost."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass, field, replace

import pytest

from app.engine import FinishReason, Generation, OnTokens, Sampling
from app.errors import EngineError, EngineLength, EngineNoAudio
from app.synthesis.request import CompleteSegments, Segment
from app.synthesis.stats import KeptCodes, SynthesisStats
from app.synthesis.token_reader import TokenReader
from app.tokens.code_buffer import FrameLayout
from tests.metric_values import counted

LAYOUT = FrameLayout(first=0, slots=1, vocabulary=100)
SAMPLING = Sampling(max_tokens=50)


@dataclass
class StepEngine:
    """Each generation does as it is told: "+" gives a code, "." ends it, "L" reaches the limit, "!"
    fails.
    """

    orders: dict[str, asyncio.Queue[str]] = field(default_factory=dict[str, "asyncio.Queue[str]"])
    at_once: int = 0
    most_at_once: int = 0

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def check(self) -> None: ...
    async def generate(self, prompt: str, sampling: Sampling, on_tokens: OnTokens) -> Generation:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        orders = self.orders[prompt] = asyncio.Queue()
        try:
            return Generation(await self._obey(orders, on_tokens), prompt_tokens=10)
        finally:
            self.at_once -= 1

    async def _obey(self, orders: asyncio.Queue[str], on_tokens: OnTokens) -> FinishReason:
        while True:
            order = await orders.get()
            if order == "!":
                raise EngineError("the engine broke")
            if order in {".", "L"}:
                return "length" if order == "L" else "stop"
            on_tokens([7])

    async def told(self, prompt: str, orders: str) -> None:
        for order in orders:
            self.orders[prompt].put_nowait(order)
        await rest()


async def rest() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def reading(
    engine: StepEngine,
    stats: SynthesisStats | None = None,
    *,
    may_be_cut: bool = False,
    layout: FrameLayout = LAYOUT,
) -> tuple[TokenReader, asyncio.Task[None]]:
    stats = stats or SynthesisStats()
    reader = TokenReader(engine, SAMPLING, layout, 50, stats, may_be_cut=may_be_cut)
    return reader, asyncio.create_task(
        reader.read(CompleteSegments([Segment(prompt) for prompt in "abcd"]))
    )


async def test_the_second_part_begins_with_the_firsts_codes_the_third_after_the_first() -> None:
    engine, stats = StepEngine(), SynthesisStats()
    reader, task = reading(engine, stats)
    await rest()
    assert list(engine.orders) == ["a"]
    await engine.told("a", "+")
    assert list(engine.orders) == ["a", "b"]
    await engine.told("b", "+.")
    await engine.told("a", "+.")
    assert list(engine.orders) == ["a", "b"]  # nobody has spoken yet
    first = await reader.next_segment()
    assert first is not None
    assert first[0] == Segment("a")
    assert first[1] is not None
    assert first[1].codes.frames == 2
    reader.release_slot()
    await rest()
    assert list(engine.orders) == ["a", "b", "c"]
    await engine.told("c", "+.")
    reader.release_slot()
    await rest()
    await engine.told("d", "+.")
    await task
    assert [part is not None for part in [await reader.next_segment() for _ in range(4)]] == [
        True,
        True,
        True,
        False,
    ]
    assert engine.most_at_once == 2
    assert (stats.codec_tokens, stats.prompt_tokens) == (5, 40)


async def test_a_part_that_may_be_cut_waits_for_the_one_before_and_ends_the_answer_when_it_is() -> (
    None
):
    engine = StepEngine()
    reader, task = reading(engine, may_be_cut=True)
    await rest()
    await engine.told("a", "+")
    assert list(engine.orders) == ["a"]
    await engine.told("a", ".")
    await engine.told("b", "+L")
    await task
    assert list(engine.orders) == ["a", "b"]
    assert [part is not None for part in [await reader.next_segment() for _ in range(3)]] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("kept", [False, True])
async def test_the_codes_of_a_decoded_part_are_kept_for_a_replay_alone(kept: bool) -> None:
    engine, stats = StepEngine(), SynthesisStats()
    stats.codes = KeptCodes("tone", 0) if kept else None
    reader, task = reading(engine, stats)
    await rest()
    await engine.told("a", "+.")
    first = await reader.next_segment()
    assert first is not None
    assert first[1] is not None
    codes = weakref.ref(first[1])
    del first
    reader.release_slot()
    for prompt in "bcd":
        await engine.told(prompt, "+.")
        reader.release_slot()
        await rest()
    await task
    gc.collect()
    assert (codes() is not None) == kept


@pytest.mark.parametrize(
    ("orders", "error"), [("+!", EngineError), (".", EngineNoAudio), ("+L", EngineLength)]
)
async def test_a_part_that_fails_ends_the_others(orders: str, error: type[Exception]) -> None:
    engine = StepEngine()
    _, task = reading(engine)
    await rest()
    await engine.told("a", "+")
    await engine.told("b", orders)
    with pytest.raises(ExceptionGroup) as failed:
        await task
    assert failed.group_contains(error)
    assert engine.at_once == 0


async def test_the_tokens_of_an_unfinished_frame_are_counted_as_dropped() -> None:
    engine, dropped = StepEngine(), counted("tts_engine_tokens_dropped_total")
    _, task = reading(engine, layout=replace(LAYOUT, slots=3))
    await rest()
    await engine.told("a", "+.")
    await asyncio.wait([task])
    assert counted("tts_engine_tokens_dropped_total") == dropped + 1
    with pytest.raises(ExceptionGroup):
        task.result()


async def test_cancelling_frees_both_streams() -> None:
    engine = StepEngine()
    _, task = reading(engine)
    await rest()
    await engine.told("a", "+")
    assert engine.at_once == 2
    task.cancel()
    await asyncio.wait([task])
    assert engine.at_once == 0
