"""The cost of a decode call, timed at the start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from app.audio.samples import Samples
from app.codec import CodeWindow, OutOfMemory
from app.codec.cuda import Replay
from app.codec.eager import EagerCodec
from app.codec.graph_grid import Grid
from app.codec.graphs import GraphedCodec
from app.decode.call_cost import CPU_FRAMES, TIMED_CALLS, limit_gpu_calls, measure_call_cost
from app.decode.load_estimate import CallCost
from app.decode.queue import BatchLimits
from tests.codec.host import Host
from tests.fakes import Clock, ToneCodec, tone_spec

pytestmark = pytest.mark.fault(60)


class SlowCodec(ToneCodec):
    """A call takes 10 ms, and 0.1 ms a frame."""

    threads: frozenset[str] = frozenset()

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        self.threads |= {thread.name for thread in threading.enumerate()}
        time.sleep(0.010 + 0.0001 * len(windows) * len(windows[0].codes))
        return super().decode(windows)


def test_a_cost_is_a_line_through_a_small_and_a_large_call() -> None:
    codec = SlowCodec(tone_spec(max_window_frames=500))
    cost = measure_call_cost([codec], BatchLimits(8), 24, None)
    assert cost is not None
    assert cost.s_per_frame == pytest.approx(0.0001, rel=0.5)
    assert cost.overhead_frames is not None
    assert 30 < cost.overhead_frames < 300
    assert [len(batch) for batch in codec.batches] == [1] * TIMED_CALLS + [8] * TIMED_CALLS


def test_on_a_cpu_the_other_cores_work_meanwhile_and_a_call_is_one_window() -> None:
    codec = SlowCodec(tone_spec(max_window_frames=500))
    assert measure_call_cost([codec], BatchLimits(8), 24, 2) is not None
    assert {"busy-0", "busy-1"} <= codec.threads
    assert {(len(batch), batch[0][1]) for batch in codec.batches} == {(1, 24), (1, CPU_FRAMES)}
    assert not any(thread.name.startswith("busy") for thread in threading.enumerate())


def test_a_batch_stays_within_the_limits() -> None:
    codec = SlowCodec(tone_spec(max_window_frames=50))
    measure_call_cost([codec], BatchLimits(8, padded_frames=120), 24, None)
    assert max(sum(frames for _, frames in batch) for batch in codec.batches) == 100


class FullCodec(ToneCodec):
    """A device without room for a batch."""

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        if len(windows) > 1:
            raise OutOfMemory("no room")
        return super().decode(windows)


def test_a_device_without_room_for_the_batch_has_no_measured_cost() -> None:
    assert measure_call_cost([FullCodec()], BatchLimits(8), 24, None) is None


class TimedHost(Host):
    """A device whose calls take 0.5 ms, and `frame_s` for each row and frame of their shape."""

    def __init__(self, clock: Clock, frame_s: float) -> None:
        super().__init__()
        self._clock, self._frame_s = clock, frame_s

    def capture(self, run: Callable[[], None]) -> Replay:
        rows, frames = run.args[0]  # type: ignore[attr-defined]

        def replay() -> None:
            self._clock.now_s += 0.5e-3 + self._frame_s * rows * frames

        return replay


def graphed(clock: Clock, frame_s: float) -> GraphedCodec:
    """A codec on a device with 4 rows of at most 64 frames."""

    def silence(codes: Tensor, *_: object) -> Tensor:
        return torch.zeros(len(codes), codes.shape[1] * 4)

    codec = GraphedCodec(
        EagerCodec(tone_spec(samples_per_frame=4, max_window_frames=64), silence, "cpu"),
        TimedHost(clock, frame_s),
        Grid((1, 2, 4), (32, 64)),
        int16_samples=False,
    )
    codec.capture()
    return codec


def cost_of(clock: Clock, *codecs: GraphedCodec) -> CallCost | None:
    limits = BatchLimits(4, frame_steps=(32, 64))
    return measure_call_cost(codecs, limits, 24, None, clock=clock)


@pytest.mark.parametrize("frame_s", [0.9e-6, 27e-6])
def test_the_cost_on_a_gpu_is_a_line_through_its_graphs(frame_s: float) -> None:
    clock = Clock()
    cost = cost_of(clock, graphed(clock, frame_s))
    assert cost is not None
    assert cost.s_per_frame == pytest.approx(frame_s, rel=1e-6)
    assert cost.overhead_frames == pytest.approx(0.5e-3 / frame_s, rel=1e-6)


def test_the_slowest_of_several_devices_counts() -> None:
    clock = Clock()
    cost = cost_of(clock, *(graphed(clock, frame_s) for frame_s in (1e-6, 3e-6, 2e-6)))
    assert cost is not None
    assert cost.s_per_frame == pytest.approx(3e-6, rel=1e-6)


@dataclass
class TimedDecoding:
    """Takes 1 ms for each window until it is decoded, and an hour to convert."""

    windows: Sequence[CodeWindow]
    clock: Clock

    def wait(self) -> None:
        self.clock.now_s += 0.001 * len(self.windows)

    def samples(self) -> list[Samples]:
        self.clock.now_s += 3600
        return []


class ConvertingCodec(ToneCodec):
    """A device whose samples take long to convert."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(tone_spec(max_window_frames=24))
        self._clock = clock

    def submit(self, windows: Sequence[CodeWindow]) -> TimedDecoding:
        return TimedDecoding(windows, self._clock)


def test_the_conversion_of_the_samples_is_not_a_part_of_the_cost() -> None:
    clock = Clock()
    cost = measure_call_cost([ConvertingCodec(clock)], BatchLimits(8), 24, None, clock=clock)
    assert cost is not None
    assert cost.s_per_frame == pytest.approx(0.001 / 24, rel=1e-6)


H200, T4 = CallCost(500.4, 0.9e-6), CallCost(133.3, 27e-6)
GPU_LIMITS = BatchLimits(32, frame_steps=(32, 384))


@pytest.mark.parametrize(("cost", "frames"), [(H200, 110_610), (T4, 3_570)])
def test_a_call_on_a_gpu_lasts_a_tenth_of_a_second(cost: CallCost, frames: int) -> None:
    spec = tone_spec(max_window_frames=384, seamless=False)
    limits = limit_gpu_calls(GPU_LIMITS, cost, spec)
    assert cost.overhead_frames is not None
    assert limits.padded_frames == frames
    assert limits.call_overhead_frames == round(cost.overhead_frames)
    operators = limit_gpu_calls(replace(GPU_LIMITS, padded_frames=9_999), cost, spec)
    assert operators.padded_frames == 9_999


def test_a_call_on_a_slow_gpu_has_room_for_a_window() -> None:
    spec = tone_spec(max_window_frames=384, seamless=False)
    assert limit_gpu_calls(GPU_LIMITS, CallCost(10.0, 1e-3), spec).padded_frames == 384


def test_a_seamless_codecs_windows_share_a_call_at_any_length() -> None:
    spec = tone_spec(max_window_frames=384, seamless=True)
    assert limit_gpu_calls(GPU_LIMITS, T4, spec).call_overhead_frames is None
