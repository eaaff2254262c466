"""What a decode call costs, and a codec that costs just that: for benchmarks of the decode path without a GPU."""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.codec import CodecSpec, CodeWindow, Decoding
from app.codec.grid import ROW_STEPS
from app.samples import Samples

# Lengths (frames) of the stand-in's calls: a coarser grid than app.codec.load.GRAPH_FRAMES captures.
FRAME_STEPS = (32, 64, 128, 256, 384)

# NeuCodec as a GPU serves it; a test keeps it equal to the codec's own, which imports torch.
SPEC = CodecSpec(
    name="neucodec",
    sample_rate_hz=24_000,
    samples_per_frame=480,
    codes_per_frame=1,
    vocabulary=65_536,
    left_context_frames=150,
    right_context_frames=1,
    exact=False,
    max_window_frames=384,
)
HUM_HZ = 200  # a whole number of periods a frame


@dataclass(frozen=True, slots=True)
class CallCost:
    """A call of R rows padded to F frames takes `launch_s + R x F x frame_s`, R and F rounded up to their steps."""

    launch_s: float
    frame_s: float
    row_steps: tuple[int, ...] = ()
    frame_steps: tuple[int, ...] = ()

    def call_s(self, rows: int, frames: int) -> float:
        """How long the device is busy with such a call."""
        return (
            self.launch_s
            + _rounded(rows, self.row_steps) * _rounded(frames, self.frame_steps) * self.frame_s
        )

    @property
    def call_frames(self) -> int | None:
        """As many frames cost as much as a launch, for `BatchLimits.call_frames`; None where frames are free."""
        return round(self.launch_s / self.frame_s) if self.frame_s else None


def _rounded(value: int, steps: tuple[int, ...]) -> int:
    place = bisect.bisect_left(steps, value)
    return steps[place] if place < len(steps) else value


def measured_cost(codec: str) -> CallCost:
    """The least-squares line through what bench/results/codecs.json holds of `codec`, in relative error."""
    file = Path(__file__).parent / "results" / "codecs.json"
    shapes: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))[codec]
    frames = np.array(
        [int(rows) * int(length) for rows, length in (shape.split(" x ") for shape in shapes)]
    )
    taken_s = (
        frames * SPEC.samples_per_frame / SPEC.sample_rate_hz / np.array(list(shapes.values()))
    )
    terms = np.stack([1 / taken_s, frames / taken_s], axis=1)
    launch_s, frame_s = np.linalg.lstsq(terms, np.ones(len(frames)), rcond=None)[0]
    return CallCost(float(launch_s), float(frame_s))


# Assumed, not measured here: NeuCodec on an H200 at 16,800 audio-seconds a second, 40 % of what its
# matrix units could do, after a graph's 0.8 ms or after launching the published decoder's 485 kernels.
H200_FRAME_S = 1 / (16_800 * 50)
H200_GRAPHED = CallCost(0.0008, H200_FRAME_S, ROW_STEPS, FRAME_STEPS)
H200_EAGER = CallCost(0.020, H200_FRAME_S)
CPU_BF16 = measured_cost("neucodec bfloat16")
COSTS = {"h200-graphed": H200_GRAPHED, "h200-eager": H200_EAGER, "cpu": CPU_BF16}


class StubCodec:
    """Hums for every code, and takes as long as a cost says. An `OverlappingCodec`.

    Its device is serial: a batch starts when the one before it has ended. The host's part costs nothing.
    """

    def __init__(
        self,
        cost: CallCost,
        spec: CodecSpec = SPEC,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.spec = replace(spec, frame_steps=cost.frame_steps, call_frames=cost.call_frames)
        self.busy_s = 0.0  # in all
        self._cost, self._clock, self._sleep = cost, clock, sleep
        self._lock = threading.Lock()
        self._free_s = 0.0
        time_s = np.arange(spec.max_window_frames * spec.samples_per_frame) / spec.sample_rate_hz
        self._hum = (0.1 * np.sin(2 * np.pi * HUM_HZ * time_s)).astype(np.float32)

    def begin(self, windows: Sequence[CodeWindow]) -> Decoding:
        """Put a batch behind what the device has in hand."""
        call_s = self._cost.call_s(len(windows), max(len(window.codes) for window in windows))
        with self._lock:
            self.busy_s += call_s
            self._free_s = ends_s = max(self._free_s, self._clock()) + call_s

        def wait() -> list[Samples]:
            self._sleep(max(0.0, ends_s - self._clock()))
            return [
                self._hum[: window.sounding_frames * self.spec.samples_per_frame]
                for window in windows
            ]

        return wait

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode a batch and wait for it."""
        return self.begin(windows)()
