"""The cost of a decode call, timed at the start."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from app.audio.samples import Samples
from app.codec import CodeWindow, OutOfMemory
from app.decode.call_cost import CPU_FRAMES, TIMED_CALLS, measure_call_cost
from app.decode.queue import BatchLimits
from tests.fakes import ToneCodec, tone_spec

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
    cost = measure_call_cost(codec, BatchLimits(8), 24, None)
    assert cost is not None
    assert cost.s_per_frame == pytest.approx(0.0001, rel=0.5)
    assert cost.overhead_frames is not None
    assert 30 < cost.overhead_frames < 300
    assert [len(batch) for batch in codec.batches] == [1] * TIMED_CALLS + [8] * TIMED_CALLS


def test_on_a_cpu_the_other_cores_work_meanwhile_and_a_call_is_one_window() -> None:
    codec = SlowCodec(tone_spec(max_window_frames=500))
    assert measure_call_cost(codec, BatchLimits(8), 24, 2) is not None
    assert {"busy-0", "busy-1"} <= codec.threads
    assert {(len(batch), batch[0][1]) for batch in codec.batches} == {(1, 24), (1, CPU_FRAMES)}
    assert not any(thread.name.startswith("busy") for thread in threading.enumerate())


def test_a_batch_stays_within_the_limits() -> None:
    codec = SlowCodec(tone_spec(max_window_frames=50))
    measure_call_cost(codec, BatchLimits(8, padded_frames=120), 24, None)
    assert max(sum(frames for _, frames in batch) for batch in codec.batches) == 100


class FullCodec(ToneCodec):
    """A device without room for a batch."""

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        if len(windows) > 1:
            raise OutOfMemory("no room")
        return super().decode(windows)


def test_a_device_without_room_for_the_batch_has_no_measured_cost() -> None:
    assert measure_call_cost(FullCodec(), BatchLimits(8), 24, None) is None
