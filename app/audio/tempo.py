"""Time stretching without pitch change, by FFmpeg's atempo (waveform-similarity overlap-add)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from av import AudioFrame
from av.filter import Graph

from app.audio.ffmpeg import ONE_THREAD
from app.audio.samples import Samples

# Fixed size of the filter's input, so that chunk sizes do not change the result.
BLOCK_SAMPLES = 1024
SILENCE_SAMPLES = 12 * BLOCK_SAMPLES  # pushes the last samples through the filter
# Speed above which (or below its inverse) one stage skips audio, so that two are chained.
MAX_STAGE_SPEED = 2.0


class TimeStretcher:
    """Time stretcher to `speed` times the rate of a signal. Speed 1 leaves it unchanged."""

    def __init__(self, sample_rate_hz: int, speed: float) -> None:
        """`speed`: 0.25 to 4."""
        self._rate_hz = sample_rate_hz
        self._pending: Samples = np.zeros(0, np.float32)
        self._speed = speed
        self._graph = None if speed == 1.0 else _graph(sample_rate_hz, _stages(speed))
        self._fed = 0  # samples passed to the filter
        self._returned = 0  # samples received from it

    def feed(self, samples: Samples) -> Samples:
        """Return the samples that are ready. The filter holds back 40 to 110 ms."""
        if self._graph is None:
            return samples
        self._pending = np.concatenate([self._pending, samples])
        whole = len(self._pending) // BLOCK_SAMPLES * BLOCK_SAMPLES
        blocks, self._pending = self._pending[:whole], self._pending[whole:]
        return self._filtered(self._graph, blocks)

    def finish(self) -> Samples:
        """Return the rest. All samples together are exactly the input's length over the speed.

        The filter by itself would drop up to 70 ms. Silence after the signal pushes them through.
        """
        if self._graph is None:
            return self._pending
        left = round((self._fed + len(self._pending)) / self._speed) - self._returned
        silence = np.zeros(SILENCE_SAMPLES, np.float32)
        rest = self._filtered(self._graph, np.append(self._pending, silence))
        self._graph = None
        return rest[:left]

    def _filtered(self, graph: Graph, samples: Samples) -> Samples:
        parts: list[Samples] = []
        for start in range(0, len(samples), BLOCK_SAMPLES):
            block = np.ascontiguousarray(samples[start : start + BLOCK_SAMPLES])
            frame = AudioFrame.from_ndarray(block[None], format="flt", layout="mono")
            frame.sample_rate, frame.pts = self._rate_hz, self._fed
            self._fed += len(block)
            graph.push(frame)
            parts += _pull(graph)
        ready = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        self._returned += len(ready)
        return ready


def _stages(speed: float) -> list[float]:
    """Return factors within [1/2, 2] whose product is `speed`."""
    one_stage = 1 / MAX_STAGE_SPEED <= speed <= MAX_STAGE_SPEED
    return [speed] if one_stage else [speed**0.5] * 2


def _graph(sample_rate_hz: int, stages: list[float]) -> Graph:
    graph = Graph()
    graph.threads = ONE_THREAD
    nodes = [
        graph.add_abuffer(sample_rate=sample_rate_hz, format="flt", layout="mono"),
        *(graph.add("atempo", f"{stage:.9f}") for stage in stages),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    return graph


def _pull(graph: Graph) -> Iterator[Samples]:
    """Yield the filter's output until it needs more input."""
    while True:
        try:
            frame = graph.pull()
        except BlockingIOError:
            return
        yield frame.to_ndarray().reshape(-1).astype(np.float32)
