"""The cost of a decode call, and the codec that takes that long."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.codec import CodeWindow, OverlappingCodec
from app.codec.graph_grid import ROW_STEPS
from app.codec.neucodec.load import neucodec_spec
from bench.cost import CPU_BF16, FRAME_STEPS, H200_EAGER, H200_GRAPHED, SPEC, CallCost, StubCodec

RESULTS = Path(__file__).parents[2] / "bench" / "results"


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def window(frames: int, context: int = 0) -> CodeWindow:
    return CodeWindow(np.zeros((frames, 1), np.int32), 0, context)


def test_a_call_costs_its_launch_and_its_padded_frames() -> None:
    assert CallCost(0.5, 0.01).call_s(3, 20) == pytest.approx(0.5 + 60 * 0.01)


def test_rows_and_frames_are_rounded_up_to_what_has_been_captured() -> None:
    cost = CallCost(0, 1, ROW_STEPS, FRAME_STEPS)
    assert cost.call_s(5, 33) == 6 * 64
    assert cost.call_s(6, 64) == 6 * 64
    assert cost.call_s(513, 385) == 513 * 385, "beyond the largest there is nothing to round to"


def test_an_h200_is_bound_by_launches_unless_it_replays_graphs() -> None:
    one, many = (1, 190), (32, 256)
    assert H200_EAGER.call_s(*many) / H200_EAGER.call_s(*one) < 1.6
    assert H200_GRAPHED.call_s(*many) / H200_GRAPHED.call_s(*one) > 5


def test_the_cpus_cost_is_what_was_measured() -> None:
    shapes = json.loads((RESULTS / "codecs.json").read_text(encoding="utf-8"))["neucodec bfloat16"]
    for shape, audio_s_per_s in shapes.items():
        rows, frames = map(int, shape.split(" x "))
        assert rows * frames / 50 / CPU_BF16.call_s(rows, frames) == pytest.approx(
            audio_s_per_s, rel=0.1
        )


def test_the_stub_has_neucodecs_spec() -> None:
    assert neucodec_spec(150) == SPEC


def test_the_stub_gives_every_window_its_samples() -> None:
    clock = Clock()
    stub = StubCodec(H200_EAGER, clock=clock, sleep=clock.sleep)
    assert isinstance(stub, OverlappingCodec)
    sounds = stub.decode([window(30, 10), window(384)])
    assert [len(sound) for sound in sounds] == [20 * 480, 384 * 480]
    assert 0.05 < np.abs(sounds[0]).max() < 0.2


def test_the_stubs_device_takes_one_batch_after_the_other() -> None:
    clock = Clock()
    stub = StubCodec(CallCost(1, 0), clock=clock, sleep=clock.sleep)
    first, second = stub.submit([window(5)]), stub.submit([window(5)])
    first.wait()
    assert clock() == 101
    second.wait()
    assert clock() == 102
    clock.now_s = 110
    stub.decode([window(5)])
    assert clock() == 111, "an idle device starts at once"
    assert stub.busy_s == 3
