"""Decoding of a segment: its context from the one before, and the order of reads at its end."""

from __future__ import annotations

import asyncio
import threading

from hypothesis import given
from hypothesis import strategies as st

from app.codec import CodeWindow
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from app.synthesis.code_stream import CodeStream
from app.synthesis.stats import KeptCodes, SynthesisStats
from app.synthesis.window_decoder import FLUSH_SILENCE_S, CarriedContext, WindowDecoder
from app.tokens.code_buffer import CodeBuffer, FrameLayout
from app.tokens.windows import Window, WindowPlan, WindowSchedule
from tests.fakes import SPEC, ToneCodec
from tests.synthesis.test_audio_output import RecordingSink, output_to

LAYOUT = FrameLayout(first=0, slots=1, vocabulary=10_000)
LEFT, RIGHT = 5, 2
PLAN = WindowPlan(first_hop=3, max_hop=8, left=LEFT, right=RIGHT, seamless=True)


def codes_of(numbers: range) -> CodeBuffer:
    codes = CodeBuffer(LAYOUT, 1_000)
    codes.feed(list(numbers))
    codes.finish()
    return codes


def windows_of(before: CarriedContext, codes: CodeBuffer) -> list[CodeWindow]:
    schedule, found = WindowSchedule(PLAN), list[CodeWindow]()
    while not schedule.finished:
        window = schedule.take(codes.frames, ended=True)
        found.append(before.window(codes, window))
    before.append(codes)
    return found


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_parts_are_decoded_as_one_run_of_codes(lengths: list[int]) -> None:
    """Each window's codes are those of the whole text at its place; its context reaches into the
    parts before.
    """
    before, place = CarriedContext(LEFT, 1), 0
    for length in lengths:
        windows = windows_of(before, codes_of(range(place, place + length)))
        for window in windows:
            stop = window.first_frame + len(window.codes)
            assert window.codes[:, 0].tolist() == list(range(window.first_frame, stop))
            assert window.context_frames == min(LEFT, window.first_frame + window.context_frames)
        assert windows[0].first_frame + windows[0].context_frames == place
        place += length
        assert windows[-1].first_frame + len(windows[-1].codes) == place


def test_a_pause_is_a_place_without_codes() -> None:
    before = CarriedContext(LEFT, 1)
    before.append(codes_of(range(10)))
    before.skip_frames(25)
    window = before.window(codes_of(range(4)), Window(0, 0, 4, 4, last=True))
    assert (window.first_frame, window.context_frames) == (35, 0)


def test_a_window_with_enough_context_of_its_own_gets_no_more() -> None:
    before = CarriedContext(LEFT, 1)
    before.append(codes_of(range(100, 110)))
    window = before.window(codes_of(range(20)), Window(3, 8, 12, 14, last=False))
    assert window.codes[:, 0].tolist() == list(range(3, 14))
    assert (window.first_frame, window.context_frames) == (13, 5)


class RacingCodes(CodeBuffer):
    """Codes of which the last, and the end, arrive right after the first look at them for a second
    window.
    """

    looks = 0  # of the decode thread: two for each window

    def __getattribute__(self, name: str) -> object:
        value = super().__getattribute__(name)
        on_decode_thread = threading.current_thread().name.startswith("decode-")
        if name in ("frames", "ended") and on_decode_thread:
            self.looks += 1
            if self.looks == 3:
                self.feed(range(59))
                self.finish()
        return value


async def test_codes_that_arrive_with_the_end_while_a_window_is_chosen_are_decoded() -> None:
    """If `frames` were read before `ended`, the second window would count as the last."""
    plan = WindowPlan(first_hop=20, max_hop=40, left=2, right=1, seamless=True)
    stream, sink = CodeStream(LAYOUT, 100), RecordingSink()
    stream.codes = RacingCodes(LAYOUT, 100)
    stream.feed(range(41))  # the first window, and the least for a second
    stats = SynthesisStats()
    output = output_to(sink, stats=stats)
    scheduler = Scheduler([ToneCodec()], DeadlineQueue(BatchLimits(1)))
    scheduler.start()
    try:
        async with asyncio.timeout(10):
            await WindowDecoder(plan, LAYOUT, scheduler, output, stats).decode_segment(stream)
            await output.finish()
    finally:
        await scheduler.close()
    assert len(sink.samples) == 100 * SPEC.samples_per_frame


async def test_silence_that_flushes_the_filters_is_kept_for_a_replay() -> None:
    stats = SynthesisStats()
    stats.codes = KeptCodes("tone", LEFT)
    scheduler = Scheduler([ToneCodec()], DeadlineQueue(BatchLimits(1)))
    output = output_to(RecordingSink(), stats=stats)
    await WindowDecoder(PLAN, LAYOUT, scheduler, output, stats).flush_with_silence()
    assert stats.codes.segments == [(FLUSH_SILENCE_S, None)]
    assert 0 < stats.audio_s <= FLUSH_SILENCE_S
