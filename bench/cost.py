"""Cost model of decode calls, and a fake codec that follows it, for benchmarks without a GPU."""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.audio.samples import Samples
from app.codec import BlockingDecoding, CodeWindow, Decoding
from app.codec.graph_grid import ROW_STEPS
from app.codec.spec import CodecSpec

# Call lengths of the fake codec in frames: a coarser grid than that of app.codec.registry.
FRAME_STEPS = (32, 64, 128, 256, 384)

# NeuCodec on a GPU; a test keeps it equal to the spec of the codec module, which imports torch.
SPEC = CodecSpec(
    name="neucodec",
    sample_rate_hz=24_000,
    samples_per_frame=480,
    codes_per_frame=1,
    vocabulary=65_536,
    left_context_frames=150,
    right_context_frames=1,
    seamless=False,
    max_window_frames=384,
)
HUM_HZ = 200  # a whole number of periods per frame


@dataclass(frozen=True, slots=True)
class CallCost:
    """Duration of a decode call: `launch_s + rows x frames x frame_s`.

    Rows and padded frames are rounded up to `row_steps` and `frame_steps`.
    """

    launch_s: float
    frame_s: float
    row_steps: tuple[int, ...] = ()
    frame_steps: tuple[int, ...] = ()

    def call_s(self, rows: int, frames: int) -> float:
        """Return the seconds for which such a call occupies the device."""
        return (
            self.launch_s
            + _rounded(rows, self.row_steps) * _rounded(frames, self.frame_steps) * self.frame_s
        )

    @property
    def call_overhead_frames(self) -> int | None:
        """Frames that cost as much as a launch, for `BatchLimits`; None if frames are free."""
        return round(self.launch_s / self.frame_s) if self.frame_s else None


def _rounded(value: int, steps: tuple[int, ...]) -> int:
    place = bisect.bisect_left(steps, value)
    return steps[place] if place < len(steps) else value


def measured_cost(codec: str) -> CallCost:
    """Fit the cost of `codec` to bench/results/codecs.json: least squares of relative errors."""
    file = Path(__file__).parent / "results" / "codecs.json"
    shapes: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))[codec]
    frames = np.array(
        [int(rows) * int(length) for rows, length in (shape.split(" x ") for shape in shapes)]
    )
    durations_s = (
        frames * SPEC.samples_per_frame / SPEC.sample_rate_hz / np.array(list(shapes.values()))
    )
    terms = np.stack([1 / durations_s, frames / durations_s], axis=1)
    launch_s, frame_s = np.linalg.lstsq(terms, np.ones(len(frames)), rcond=None)[0]
    return CallCost(float(launch_s), float(frame_s))


# Assumed, not measured here: NeuCodec on an H200 decodes 16,800 audio-seconds per second, which is
# 40 % of the peak of its matrix units. A launch takes 0.8 ms with a CUDA graph, and 20 ms for the
# 485 kernels of the published decoder.
H200_FRAME_S = 1 / (16_800 * 50)
H200_GRAPHED = CallCost(0.0008, H200_FRAME_S, ROW_STEPS, FRAME_STEPS)
H200_EAGER = CallCost(0.020, H200_FRAME_S)
CPU_BF16 = measured_cost("neucodec bfloat16")
COSTS = {"h200-graphed": H200_GRAPHED, "h200-eager": H200_EAGER, "cpu": CPU_BF16}


class StubCodec:
    """Fake `OverlappingCodec` that outputs a hum and takes the time of a cost model.

    Its device is serial: a batch starts when the previous one has ended. It uses no host time.
    """

    def __init__(
        self,
        cost: CallCost,
        spec: CodecSpec = SPEC,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spec = replace(
            spec, frame_steps=cost.frame_steps, call_overhead_frames=cost.call_overhead_frames
        )
        self.busy_s = 0.0  # total time of all calls
        self._cost = cost
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_s = 0.0
        time_s = np.arange(spec.max_window_frames * spec.samples_per_frame) / spec.sample_rate_hz
        self._hum = (0.1 * np.sin(2 * np.pi * HUM_HZ * time_s)).astype(np.float32)

    def submit(self, windows: Sequence[CodeWindow]) -> Decoding:
        """Queue a batch on the device."""
        call_s = self._cost.call_s(len(windows), max(len(window.codes) for window in windows))
        with self._lock:
            self.busy_s += call_s
            self._free_s = end_s = max(self._free_s, self._clock()) + call_s

        def sleep_until_end() -> list[Samples]:
            self._sleep(max(0.0, end_s - self._clock()))
            return [
                self._hum[: window.output_frames * self.spec.samples_per_frame]
                for window in windows
            ]

        return BlockingDecoding(sleep_until_end)

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode a batch and wait for it."""
        decoding = self.submit(windows)
        decoding.wait()
        return decoding.samples()
