"""The scheduler: batches form while the device works; every window gets its own samples."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import metrics
from app.audio.samples import Samples
from app.codec import CodeWindow, Decoding, DeviceLost, OutOfMemory
from app.codec.spec import CodecSpec
from app.decode.batch import ChooseWindow, DecodedWindow
from app.decode.load_estimate import LoadEstimate
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import DecodeHung, Scheduler
from app.errors import CodecFailed, NotReady
from app.tokens.windows import Window
from tests.fakes import Clock

T = TypeVar("T")
Task = asyncio.Task[DecodedWindow]
FRAME_SAMPLES = 4
SPEC = CodecSpec(
    name="gate",
    sample_rate_hz=24_000,
    samples_per_frame=FRAME_SAMPLES,
    codes_per_frame=1,
    vocabulary=10_000,
    left_context_frames=0,
    right_context_frames=1,
    seamless=True,
    max_window_frames=500,
)
# Codes that the codec below has trouble with.
RAISES, NOT_A_NUMBER, TOO_SHORT, TOO_FEW_RESULTS, DIES = 9_001, 9_002, 9_003, 9_004, 9_005
FULL, UNREADABLE = 9_006, 9_007


class GateCodec:
    """Gives each code back as samples, once its gate is open, and remembers its batches."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.spec = SPEC
        self.gate, self.entered = threading.Event(), threading.Event()
        self.batches: list[list[CodeWindow]] = []
        if is_open:
            self.gate.set()

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        self.batches.append(list(windows))
        self.entered.set()
        assert self.gate.wait(10)
        codes = {int(window.codes[0, 0]) for window in windows}
        if DIES in codes:
            raise DeviceLost
        if RAISES in codes:
            raise RuntimeError("this window does not decode")
        results = [_sound(window) for window in windows]
        return results[1:] if TOO_FEW_RESULTS in codes else results

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    @property
    def firsts(self) -> list[int]:
        """The first code of every window decoded, in order."""
        return [int(window.codes[0, 0]) for batch in self.batches for window in batch]


class OverlapCodec:
    """A device that works by itself: batches end one after the other, each when it is let go.

    `reading` is called when the samples of a batch are read.
    """

    def __init__(self, reading: Callable[[], object] = lambda: None) -> None:
        self.spec = SPEC
        self.log: list[str] = []
        self.let_go, self.begun = threading.Semaphore(0), threading.Semaphore(0)
        self.reading = reading

    def submit(self, windows: Sequence[CodeWindow]) -> Decoding:
        codes = [int(window.codes[0, 0]) for window in windows]
        if RAISES in codes:
            raise RuntimeError("this batch cannot be begun")
        self.log.append(f"begin {codes}")
        self.begun.release()

        return OverlapDecoding(self, list(windows), codes)

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        decoding = self.submit(windows)
        decoding.wait()
        return decoding.samples()


@dataclass
class OverlapDecoding:
    """A batch of an `OverlapCodec`."""

    codec: OverlapCodec
    windows: list[CodeWindow]
    codes: list[int]

    def wait(self) -> None:
        assert self.codec.let_go.acquire(timeout=10)
        self.codec.log.append(f"end {self.codes}")
        if DIES in self.codes:
            raise DeviceLost
        if FULL in self.codes and len(self.codes) > 1:
            raise OutOfMemory("CUDA out of memory.")

    def samples(self) -> list[Samples]:
        self.codec.log.append(f"read {self.codes}")
        self.codec.reading()
        if UNREADABLE in self.codes:
            raise RuntimeError("these samples cannot be converted")
        results = [_sound(window) for window in self.windows]
        return results[1:] if TOO_FEW_RESULTS in self.codes else results


def _sound(window: CodeWindow) -> Samples:
    sound = np.repeat(window.codes[:, 0], FRAME_SAMPLES).astype(np.float32)
    if window.codes[0, 0] == NOT_A_NUMBER:
        sound[-1] = np.nan
    return sound[:-1] if window.codes[0, 0] == TOO_SHORT else sound


def chosen(codes: list[int]) -> tuple[Window, CodeWindow]:
    """Return a window of these codes alone."""
    frames = len(codes)
    window = CodeWindow(np.array(codes, np.int32)[:, None])
    return Window(0, 0, frames, frames, last=True), window


def window_of(code: int, frames: int = 3) -> ChooseWindow:
    return lambda: chosen([code] * frames)


def sound_of(code: int, frames: int = 3) -> list[float]:
    return [float(code)] * (frames * FRAME_SAMPLES)


@asynccontextmanager
async def running(
    *codecs: GateCodec | OverlapCodec, windows: int = 32, padded: int | None = None
) -> AsyncGenerator[Scheduler]:
    scheduler = Scheduler(codecs, DeadlineQueue(BatchLimits(windows, padded)))
    scheduler.start()
    try:
        yield scheduler
    finally:
        for codec in codecs:
            codec.gate.set() if isinstance(codec, GateCodec) else codec.let_go.release(100)
        await scheduler.close()


async def queued(*work: Coroutine[None, None, T]) -> list[asyncio.Task[T]]:
    """Tasks that have run up to their first wait."""
    tasks = [asyncio.create_task(each) for each in work]
    await asyncio.sleep(0)
    return tasks


async def busy(scheduler: Scheduler, codec: GateCodec) -> asyncio.Task[DecodedWindow]:
    """Occupy a device until its gate is opened."""
    (task,) = await queued(scheduler.decode(window_of(1), 0))
    await asyncio.to_thread(codec.entered.wait)
    return task


async def test_what_waits_while_the_device_works_is_the_next_batch() -> None:
    codec = GateCodec()
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(*[scheduler.decode(window_of(code, code), 1) for code in range(2, 9)])
        codec.gate.set()
        results = await asyncio.gather(first, *others)
    assert codec.sizes == [1, 7]
    assert [result.samples.tolist() for result in results] == [
        sound_of(1),
        *[sound_of(code, code) for code in range(2, 9)],
    ]


async def test_without_dynamic_batching_a_call_is_one_window() -> None:
    codec = GateCodec()
    async with running(codec, windows=1) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(*[scheduler.decode(window_of(code), 1) for code in range(2, 5)])
        codec.gate.set()
        await asyncio.gather(first, *others)
    assert codec.sizes == [1, 1, 1, 1]


async def test_the_earliest_deadline_goes_first_and_equals_in_turn() -> None:
    codec = GateCodec()
    async with running(codec, windows=2) as scheduler:
        first = await busy(scheduler, codec)
        deadlines = {50: 5.0, 10: 1.0, 30: 3.0, 31: 3.0, 11: -7.0}
        others = await queued(
            *[scheduler.decode(window_of(code), at_s) for code, at_s in deadlines.items()]
        )
        codec.gate.set()
        await asyncio.gather(first, *others)
    assert codec.firsts == [1, 11, 10, 30, 31, 50]
    assert codec.sizes == [1, 2, 2, 1]


async def test_a_window_is_chosen_when_the_device_is_free() -> None:
    codec, arrived = GateCodec(), [7]
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        (late,) = await queued(scheduler.decode(lambda: chosen(arrived), 1))
        arrived.append(8)
        codec.gate.set()
        await first
        decoded = await late
        assert decoded.window.stop == 2
        assert decoded.samples.tolist() == [7.0] * FRAME_SAMPLES + [8.0] * FRAME_SAMPLES


@pytest.mark.parametrize(
    ("frames", "batches"),
    [
        ([30, 30, 30, 30], [[30, 30, 30], [30]]),
        ([10, 90, 10], [[10], [90], [10]]),
        ([50, 50, 1], [[50, 50], [1]]),
        ([300, 10, 10], [[300], [10, 10]]),
    ],
)
async def test_a_padded_batch_keeps_its_limit_unless_one_window_is_larger(
    frames: list[int], batches: list[list[int]]
) -> None:
    codec, taken = GateCodec(), list[int]()

    def take(length: int) -> tuple[Window, CodeWindow]:
        taken.append(length)
        return chosen([length] * length)

    async with running(codec, padded=100) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(*[scheduler.decode(lambda n=length: take(n), 1) for length in frames])
        codec.gate.set()
        await first
        results = [await other for other in others]
    assert [[len(window.codes) for window in batch] for batch in codec.batches[1:]] == batches
    assert [len(result.samples) for result in results] == [
        length * FRAME_SAMPLES for length in frames
    ]
    assert taken == frames  # each chosen once, also those that had to wait for the next batch


@pytest.mark.fault(21)
async def test_a_cancelled_window_is_never_decoded() -> None:
    codec = GateCodec()
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(*[scheduler.decode(window_of(code), 1) for code in (2, 3, 4)])
        others[1].cancel()
        await asyncio.wait([others[1]])
        codec.gate.set()
        await asyncio.gather(first, others[0], others[2])
    assert codec.firsts == [1, 2, 4]


async def test_cancelling_a_window_in_flight_takes_nothing_from_the_others_of_its_batch() -> None:
    codec = GateCodec()
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(32)))
    one, two = await queued(scheduler.decode(window_of(2), 0), scheduler.decode(window_of(3), 1))
    scheduler.start()
    await asyncio.to_thread(codec.entered.wait)
    one.cancel()
    await asyncio.wait([one])
    codec.gate.set()
    assert (await asyncio.wait_for(two, 10)).samples.tolist() == sound_of(3)
    await scheduler.close()
    assert codec.sizes == [2]


async def test_the_queue_gauge_returns_to_0_when_all_that_waits_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec, emptied = GateCodec(), threading.Event()
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        (waiting,) = await queued(scheduler.decode(window_of(2), 1))
        waiting.cancel()
        await asyncio.wait([waiting])

        class Gauge:
            def set(self, value: float) -> None:
                if value == 0:
                    emptied.set()

        monkeypatch.setattr(metrics, "DECODE_QUEUE", Gauge())
        codec.gate.set()
        await first
        assert await asyncio.to_thread(emptied.wait, 10)


@pytest.mark.fault(25, 29)
@pytest.mark.parametrize("culprit", [RAISES, NOT_A_NUMBER, TOO_SHORT])
@pytest.mark.parametrize("place", range(5))
async def test_a_window_that_fails_fails_alone(culprit: int, place: int) -> None:
    codec, codes = GateCodec(), [2, 3, 4, 5]
    codes.insert(place, culprit)
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(*[scheduler.decode(window_of(code), 1) for code in codes])
        codec.gate.set()
        await first
        results = await asyncio.gather(*others, return_exceptions=True)
        assert isinstance(results.pop(place), CodecFailed)
        assert [
            result.samples.tolist() for result in results if not isinstance(result, BaseException)
        ] == [sound_of(code) for code in (2, 3, 4, 5)]
        assert (await scheduler.decode(window_of(6), 1)).samples.tolist() == sound_of(6)
        assert scheduler.failure is None
    assert codec.sizes[1] == 5


@pytest.mark.fault(29)
async def test_a_wrong_number_of_results_is_nobodys_sound() -> None:
    codec = GateCodec()
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(
            *[scheduler.decode(window_of(code), 1) for code in (2, TOO_FEW_RESULTS, 4)]
        )
        codec.gate.set()
        await first
        results = await asyncio.gather(*others, return_exceptions=True)
    assert isinstance(results[1], CodecFailed)
    assert [
        result.samples.tolist() for result in results if not isinstance(result, BaseException)
    ] == [sound_of(2), sound_of(4)]


async def test_closing_lets_the_running_call_end_and_refuses_the_rest() -> None:
    codec = GateCodec()
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(*[scheduler.decode(window_of(code), 1) for code in (2, 3)])
        closing = asyncio.create_task(scheduler.close())
        refused = await asyncio.gather(*others, return_exceptions=True)
        assert all(isinstance(error, NotReady) for error in refused)
        assert not first.done()
        codec.gate.set()
        assert (await first).samples.tolist() == sound_of(1)
        await closing
        with pytest.raises(NotReady):
            await scheduler.decode(window_of(4), 1)
    assert codec.firsts == [1]
    await asyncio.to_thread(join_threads)


@pytest.fixture
def deaths(monkeypatch: pytest.MonkeyPatch) -> list[type[BaseException]]:
    """Exceptions that have ended threads."""
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_type))
    return seen


@pytest.mark.fault(27)
async def test_a_thread_that_dies_fails_what_is_in_flight_and_what_waits(
    deaths: list[type[BaseException]],
) -> None:
    codec = GateCodec()
    async with running(codec, windows=2) as scheduler:
        first = await busy(scheduler, codec)
        others = await queued(*[scheduler.decode(window_of(code), 1) for code in (2, DIES, 4, 5)])
        codec.gate.set()
        assert (await first).samples.tolist() == sound_of(1)
        results = await asyncio.gather(*others, return_exceptions=True)
        assert all(isinstance(result, CodecFailed) for result in results)
        assert isinstance(scheduler.failure, DeviceLost)
        with pytest.raises(CodecFailed):
            await scheduler.decode(window_of(6), 1)
    assert deaths == [DeviceLost]
    assert codec.firsts == [1, 2, DIES]


async def test_when_one_of_two_threads_dies_the_other_ends_its_call(
    deaths: list[type[BaseException]],
) -> None:
    codecs = GateCodec(), GateCodec()
    async with running(*codecs, windows=1) as scheduler:
        one, two = await queued(
            scheduler.decode(window_of(2), 0), scheduler.decode(window_of(DIES), 0)
        )
        for codec in codecs:
            await asyncio.to_thread(codec.entered.wait)
        (waiting,) = await queued(scheduler.decode(window_of(3), 1))
        mortal, other = codecs if codecs[0].firsts == [DIES] else codecs[::-1]
        mortal.gate.set()
        for doomed in (two, waiting):
            with pytest.raises(CodecFailed):
                await doomed
        other.gate.set()
        assert (await one).samples.tolist() == sound_of(2)
    assert deaths == [DeviceLost]


@pytest.mark.fault(27)
async def test_a_thread_that_dies_of_its_own_results_leaves_nobody_waiting(
    deaths: list[type[BaseException]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours, in the place where results are handed out."""
    monkeypatch.setattr(Scheduler, "_decode", lambda *_: [])
    async with running(GateCodec(is_open=True)) as scheduler:
        with pytest.raises(CodecFailed):
            await asyncio.wait_for(scheduler.decode(window_of(2), 0), 10)
        assert isinstance(scheduler.failure, ValueError)
    assert deaths == [ValueError]


async def test_a_window_that_cannot_be_chosen_leaves_nobody_waiting(
    deaths: list[type[BaseException]],
) -> None:
    def broken() -> tuple[Window, CodeWindow]:
        raise LookupError

    codec = GateCodec()
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        takes = (window_of(2), broken, window_of(3))
        others = await queued(*[scheduler.decode(take, 1) for take in takes])
        codec.gate.set()
        await first
        results = await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), 10)
    assert all(isinstance(result, CodecFailed) for result in results)
    assert deaths == [LookupError]


async def test_two_devices_work_at_the_same_time() -> None:
    codecs = GateCodec(), GateCodec()
    async with running(*codecs, windows=1) as scheduler:
        tasks = await queued(*[scheduler.decode(window_of(code), 0) for code in (2, 3)])
        for codec in codecs:
            await asyncio.to_thread(codec.entered.wait)
        for codec in codecs:
            codec.gate.set()
        assert [result.samples.tolist() for result in await asyncio.gather(*tasks)] == [
            sound_of(2),
            sound_of(3),
        ]


def test_results_for_an_event_loop_that_is_closed_are_dropped() -> None:
    codec = GateCodec()
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(32)))

    async def leave() -> None:
        scheduler.start()
        task = await busy(scheduler, codec)
        task.cancel()
        await asyncio.wait([task])

    async def come_back() -> DecodedWindow:
        codec.gate.set()
        return await scheduler.decode(window_of(2), 0)

    asyncio.run(leave())
    assert asyncio.run(come_back()).samples.tolist() == sound_of(2)
    assert scheduler.failure is None
    asyncio.run(scheduler.close())


class CrampedCodec(GateCodec):
    """A device with room for two windows at once, and for none of more than nine frames."""

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        if len(windows) > 2 or any(len(window.codes) > 9 for window in windows):
            self.batches.append(list(windows))
            raise OutOfMemory("CUDA out of memory.")
        return super().decode(windows)


@pytest.mark.fault(26)
async def test_a_batch_that_does_not_fit_is_halved_and_a_window_that_does_not_fails_alone() -> None:
    codec = CrampedCodec()
    async with running(codec) as scheduler:
        first = await busy(scheduler, codec)
        sizes = {2: 3, 3: 3, 4: 10, 5: 3, 6: 3, 7: 3}
        others = await queued(
            *[scheduler.decode(window_of(code, frames), 1) for code, frames in sizes.items()]
        )
        codec.gate.set()
        await first
        results = await asyncio.gather(*others, return_exceptions=True)
        assert isinstance(results.pop(2), CodecFailed)
        heard = [
            result.samples.tolist() for result in results if not isinstance(result, BaseException)
        ]
        assert heard == [sound_of(code) for code in (2, 3, 5, 6, 7)]
        assert scheduler.failure is None
    assert codec.sizes[:3] == [1, 6, 3]


@pytest.mark.fault(28)
async def test_a_call_that_does_not_come_back_fails_all_and_is_not_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    codec = GateCodec()
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(1)), call_limit_s=0.2)
    scheduler.start()
    (onlooker,) = await queued(scheduler.wait_for_failure())
    first = await busy(scheduler, codec)
    (waiting,) = await queued(scheduler.decode(window_of(2), 1))
    results = await asyncio.wait_for(
        asyncio.gather(first, waiting, onlooker, return_exceptions=True), 10
    )
    assert all(isinstance(result, CodecFailed) for result in results)
    assert isinstance(scheduler.failure, DecodeHung)
    assert "self.gate.wait" in caplog.text  # where it hangs
    for refused in (scheduler.decode(window_of(3), 1), scheduler.wait_for_failure()):
        with pytest.raises(CodecFailed):
            await refused
    await asyncio.wait_for(scheduler.close(), 10)
    codec.gate.set()  # the thread comes back all the same, and ends
    await asyncio.to_thread(join_threads)
    assert codec.firsts == [1]


@pytest.mark.fault(28)
async def test_a_call_that_hangs_at_the_end_does_not_hold_up_closing() -> None:
    codec = GateCodec()
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(1)), call_limit_s=0.2)
    scheduler.start()
    call = await busy(scheduler, codec)
    await asyncio.wait_for(scheduler.close(), 10)
    assert isinstance(scheduler.failure, DecodeHung)
    with pytest.raises(CodecFailed):
        await call
    codec.gate.set()
    await asyncio.to_thread(join_threads)


async def test_closing_ends_the_task_that_watches() -> None:
    async with running(GateCodec()):
        assert len(asyncio.all_tasks()) == 2
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def join_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("decode-"):
            thread.join(10)
            assert not thread.is_alive()


@pytest.mark.fault(27)
async def test_a_lost_device_is_told_to_all_who_wait_for_that(
    deaths: list[type[BaseException]],
) -> None:
    codec = GateCodec(is_open=True)
    async with running(codec) as scheduler:
        gone, onlooker = await queued(scheduler.wait_for_failure(), scheduler.wait_for_failure())
        gone.cancel()
        await asyncio.wait([gone])
        with pytest.raises(CodecFailed):
            await scheduler.decode(window_of(DIES), 0)
        with pytest.raises(CodecFailed):
            await asyncio.wait_for(onlooker, 10)
    assert deaths == [DeviceLost]


STEP = st.one_of(
    st.tuples(st.just("submit"), st.integers(1, 1_000)),
    st.tuples(
        st.just("submit"), st.sampled_from([RAISES, NOT_A_NUMBER, TOO_SHORT, TOO_FEW_RESULTS])
    ),
    st.tuples(st.just("submit"), st.just(FULL)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("yield"), st.integers(0, 3)),
)


async def _interleave(
    steps: list[tuple[str, int]], codecs: int, windows: int, padded: int | None, *, overlap: bool
) -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    tasks: list[tuple[int, asyncio.Task[DecodedWindow]]] = []

    def new_codec() -> GateCodec | OverlapCodec:
        if not overlap:
            return GateCodec(is_open=True)
        codec = OverlapCodec()
        codec.let_go.release(1_000)
        return codec

    async with running(
        *[new_codec() for _ in range(codecs)], windows=windows, padded=padded
    ) as scheduler:
        for step, value in steps:
            if step == "submit":
                work = scheduler.decode(window_of(value, 1 + value % 9), value % 5)
                tasks.append((value, asyncio.create_task(work)))
            elif step == "cancel" and tasks:
                tasks[value % len(tasks)][1].cancel()
            elif step == "yield":
                await asyncio.sleep(0)
        if tasks:
            await asyncio.wait_for(asyncio.wait([task for _, task in tasks]), 10)
        assert scheduler.failure is None
    for code, task in tasks:
        if task.cancelled():
            continue
        if code > 9_000 and code != FULL:
            assert isinstance(task.exception(), CodecFailed)
        else:
            assert task.result().samples.tolist() == sound_of(code, 1 + code % 9)
    assert complaints == []  # a future that is settled twice complains to the loop


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(STEP, max_size=40),
    codecs=st.integers(1, 3),
    windows=st.sampled_from([1, 3, 32]),
    padded=st.sampled_from([None, 10]),
    overlap=st.booleans(),
)
def test_any_interleaving_settles_every_future_once_with_its_own_result(
    steps: list[tuple[str, int]], codecs: int, windows: int, padded: int | None, overlap: bool
) -> None:
    asyncio.run(_interleave(steps, codecs, windows, padded, overlap=overlap))


async def test_a_device_gets_its_next_batch_before_the_last_ones_sound_is_handed_out() -> None:
    codec = OverlapCodec()
    async with running(codec) as scheduler:
        (first,) = await queued(scheduler.decode(window_of(1), 0))
        first.add_done_callback(lambda _: codec.log.append("heard 1"))
        await asyncio.to_thread(codec.begun.acquire)
        others = await queued(*[scheduler.decode(window_of(code), code) for code in (2, 3)])
        codec.let_go.release(2)
        results = await asyncio.gather(first, *others)
    assert [result.samples.tolist() for result in results] == [
        sound_of(1),
        sound_of(2),
        sound_of(3),
    ]
    assert codec.log[:4] == ["begin [1]", "end [1]", "begin [2, 3]", "read [1]"]
    assert "heard 1" in codec.log[4:]


@pytest.mark.parametrize("culprit", [FULL, UNREADABLE, NOT_A_NUMBER])
@pytest.mark.parametrize("place", range(3))
async def test_a_call_that_fails_in_the_wait_or_the_conversion_is_halved(
    culprit: int, place: int
) -> None:
    """Also while the next batch is in flight. The one without memory for two decodes alone."""
    codec, codes = OverlapCodec(), [2, 3]
    codes.insert(place, culprit)
    codec.let_go.release(100)
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(3)))
    tasks = await queued(
        *[scheduler.decode(window_of(code), 1) for code in codes],
        *[scheduler.decode(window_of(code), 2) for code in (4, 5, 6)],
    )
    scheduler.start()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await scheduler.close()
    for code, result in zip([*codes, 4, 5, 6], results, strict=True):
        if code in (UNREADABLE, NOT_A_NUMBER):
            assert isinstance(result, CodecFailed)
        else:
            assert isinstance(result, DecodedWindow)
            assert result.samples.tolist() == sound_of(code)
    assert scheduler.failure is None


@pytest.mark.fault(27)
async def test_the_samples_of_a_decoded_batch_are_delivered_if_the_next_cannot_be_chosen(
    deaths: list[type[BaseException]],
) -> None:
    def broken() -> tuple[Window, CodeWindow]:
        raise LookupError

    codec = OverlapCodec()
    async with running(codec) as scheduler:
        (first,) = await queued(scheduler.decode(window_of(1), 0))
        await asyncio.to_thread(codec.begun.acquire)
        (second,) = await queued(scheduler.decode(broken, 1))
        codec.let_go.release()
        assert (await first).samples.tolist() == sound_of(1)
        with pytest.raises(CodecFailed):
            await second
    assert deaths == [LookupError]


@pytest.mark.fault(27)
async def test_a_device_that_is_lost_in_the_wait_fails_both_batches_in_flight(
    deaths: list[type[BaseException]],
) -> None:
    codec = OverlapCodec()
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(1)))
    tasks = await queued(*[scheduler.decode(window_of(code), code) for code in (DIES, DIES + 1)])
    scheduler.start()
    for _ in range(2):
        await asyncio.to_thread(codec.begun.acquire)
    codec.let_go.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, CodecFailed) for result in results)
    await scheduler.close()
    assert deaths == [DeviceLost]


@asynccontextmanager
async def conversion(other: int) -> AsyncGenerator[tuple[Scheduler, OverlapCodec, list[Task]]]:
    """Stop the decode thread in the conversion of the first batch, of codes 1 and 2.

    The batch of the code `other` is then in flight. Both end after the block.
    """
    converting, go_on = threading.Event(), threading.Event()

    def reading() -> None:
        converting.set()
        assert go_on.wait(10)

    codec = OverlapCodec(reading)
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(2)))
    tasks = await queued(*[scheduler.decode(window_of(code), 0) for code in (1, 2)])
    scheduler.start()
    await asyncio.to_thread(codec.begun.acquire)
    tasks += await queued(scheduler.decode(window_of(other), 0))
    codec.let_go.release()
    assert await asyncio.to_thread(converting.wait, 10)
    yield scheduler, codec, tasks
    go_on.set()
    codec.let_go.release(100)
    await scheduler.close()


@pytest.mark.fault(21)
async def test_a_window_cancelled_during_the_conversion_takes_nothing_from_the_others() -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with conversion(3) as (_, codec, (cancelled, second, third)):
        assert codec.log == ["begin [1, 2]", "end [1, 2]", "begin [3]", "read [1, 2]"]
        cancelled.cancel()
        await asyncio.wait([cancelled])
    assert cancelled.cancelled()
    assert (await second).samples.tolist() == sound_of(2)
    assert (await third).samples.tolist() == sound_of(3)
    assert complaints == []


async def test_closing_during_a_conversion_delivers_it_and_the_batch_in_flight() -> None:
    async with conversion(3) as (scheduler, _, tasks):
        closing = asyncio.create_task(scheduler.close())
        (refused,) = await queued(scheduler.decode(window_of(4), 0))
        with pytest.raises(NotReady):
            await refused
        assert not closing.done()
    await closing
    assert [(await task).samples.tolist() for task in tasks] == [
        sound_of(code) for code in (1, 2, 3)
    ]


async def test_a_device_is_busy_until_its_batch_is_decoded_and_not_converted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, load, busy_s = Clock(), LoadEstimate(), list[float]()
    monkeypatch.setattr(load, "call_finished", lambda seconds, *_: busy_s.append(seconds))

    def convert_for_7_s() -> None:
        clock.now_s += 7.0

    codec = OverlapCodec(convert_for_7_s)
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(2)), load_estimate=load, clock=clock)
    scheduler.start()
    for code in (1, 2):
        (task,) = await queued(scheduler.decode(window_of(code), 0))
        await asyncio.to_thread(codec.begun.acquire)
        clock.now_s += 3.0
        codec.let_go.release()
        await task
    await scheduler.close()
    assert busy_s == [3.0, 3.0]


async def test_a_second_batch_is_begun_behind_a_running_one_only_when_it_is_full() -> None:
    codec = OverlapCodec()
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(2)))
    tasks = await queued(*[scheduler.decode(window_of(code), code) for code in (1, 2, 3, 4, 5)])
    scheduler.start()
    for _ in range(2):
        await asyncio.to_thread(codec.begun.acquire)
    assert codec.log == ["begin [1, 2]", "begin [3, 4]"]
    codec.let_go.release(3)
    await asyncio.gather(*tasks)
    await scheduler.close()
    assert codec.log == [
        "begin [1, 2]",
        "begin [3, 4]",
        "end [1, 2]",
        "read [1, 2]",
        "end [3, 4]",
        "begin [5]",
        "read [3, 4]",
        "end [5]",
        "read [5]",
    ]


async def test_the_time_of_overlapping_calls_is_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codec, clock, load, busy_s = OverlapCodec(), Clock(), LoadEstimate(), list[float]()
    monkeypatch.setattr(load, "call_finished", lambda seconds, *_: busy_s.append(seconds))
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(1)), load_estimate=load, clock=clock)
    first, second = await queued(*[scheduler.decode(window_of(code), code) for code in (1, 2)])
    scheduler.start()
    for _ in range(2):  # both calls begin at once
        await asyncio.to_thread(codec.begun.acquire)
    for task, seconds in ((first, 3.0), (second, 2.0)):
        clock.now_s += seconds
        codec.let_go.release()
        await task
    clock.now_s += 10.0  # the device is idle
    (third,) = await queued(scheduler.decode(window_of(3), 3))
    await asyncio.to_thread(codec.begun.acquire)
    clock.now_s += 1.0
    codec.let_go.release()
    await third
    await scheduler.close()
    assert busy_s == [3.0, 2.0, 1.0]


async def test_a_batch_that_cannot_be_begun_fails_its_culprit_alone() -> None:
    codec = OverlapCodec()
    codec.let_go.release(100)
    async with running(codec) as scheduler:
        tasks = await queued(
            *[scheduler.decode(window_of(code), 1) for code in (2, NOT_A_NUMBER, RAISES, 4)]
        )
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], CodecFailed)
    heard = [
        result.samples.tolist()
        for result in (results[0], results[3])
        if not isinstance(result, BaseException)
    ]
    assert heard == [sound_of(2), sound_of(4)]
