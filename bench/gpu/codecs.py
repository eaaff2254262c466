"""Codecs with random weights, loaded as in the service; their graphs can be timed and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import cast
from unittest.mock import patch

import numpy as np
import torch

from app.audio.samples import Samples
from app.codec import Codec, CodeWindow
from app.codec.batch_decoder import network_decoder
from app.codec.cuda import Accelerator, Cuda, Replay
from app.codec.eager import EagerCodec
from app.codec.graph_grid import Grid
from app.codec.graphs import GraphedCodec
from app.codec.load import CodecOptions, load_codec
from app.codec.neucodec.decoder import Size
from app.codec.neucodec.load import load_neucodec
from app.codec.registry import CodecName, Dtype
from bench.gpu.setup import Setup

LEAST_DB = {"float32": 90.0, "float16": 45.0, "bfloat16": 30.0}
LAST_SAMPLES = 480  # the end of a window, where a wrong mask has the largest effect
SMALL = Size(width=128, depth=1)
HOST_FRAMES = {"neucodec": (32, 64), "snac": (8,)}
HOST_ROWS = 4


class ReadableCuda(Cuda):
    """CUDA device whose captured graphs keep their nodes readable."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.captures_s = 0.0

    def capture(self, run: Callable[[], None]) -> Replay:
        """Capture like `Cuda`, and add up the time that captures take."""
        started_s = time.perf_counter()
        graph = torch.cuda.CUDAGraph(keep_graph=True)
        with torch.cuda.graph(
            graph, pool=self._pool.id, stream=self._stream, capture_error_mode="thread_local"
        ):
            run()
        graph.instantiate()
        self.captures_s += time.perf_counter() - started_s
        return graph.replay


def load_eager(
    setup: Setup, name: CodecName, dtype: Dtype, device: str | None = None
) -> EagerCodec:
    """Load a codec without graphs; `device` replaces that of the setup."""
    if setup.host and name == "neucodec":
        torch.set_num_threads(1)
        return load_neucodec(
            "random", device="cpu", dtype=torch.float32, left_context_frames=20, size=SMALL
        )
    codec = load_codec(CodecOptions(name, "random", dtype, graph_s=()), device or setup.device)
    return cast(EagerCodec, codec)


def load_graphed(setup: Setup, options: CodecOptions) -> GraphedCodec:
    """Load a codec and capture its graphs like the service.

    On a CPU the graphs are function calls, and few.
    """
    if not setup.host:
        with patch("app.codec.torch_load.Cuda", ReadableCuda):
            return cast(GraphedCodec, load_codec(options, setup.device))
    from tests.codec.host import Host  # noqa: PLC0415  (only a test of this benchmark needs it)

    eager = load_eager(setup, options.name, "float32")
    grid = Grid.up_to(HOST_ROWS, HOST_FRAMES[options.name])
    decoder = network_decoder(eager.network)
    codec = GraphedCodec(eager, Host(), grid, int16_samples=False, decoder=decoder)
    codec.capture(lambda _: None)
    return codec


def accelerator_of(codec: GraphedCodec) -> Accelerator:
    """Return the device of a codec."""
    return codec._accelerator


def replay_of(codec: GraphedCodec, shape: tuple[int, int]) -> Replay:
    """Return the function that replays the graph of a shape (rows, frames)."""
    return codec._graphs[shape]


def graph_of(codec: GraphedCodec, shape: tuple[int, int]) -> torch.cuda.CUDAGraph:
    """Return the CUDA graph of a shape (rows, frames)."""
    return replay_of(codec, shape).__self__  # type: ignore[attr-defined]


def random_windows(codec: Codec, lengths: Sequence[int], seed: int = 0) -> list[CodeWindow]:
    """Return windows of random codes, without context, at different positions of their streams."""
    rng, spec = np.random.default_rng(seed), codec.spec
    return [
        CodeWindow(
            rng.integers(0, spec.vocabulary, (frames, spec.codes_per_frame), np.int32), 13 * frames
        )
        for frames in lengths
    ]


def db(expected: object, actual: object) -> float:
    """Return the signal-to-difference ratio in dB; -999 if shapes differ or a value is NaN."""
    right, found = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    if right.shape != found.shape or not np.isfinite(found).all():
        return -999.0
    signal, error = np.square(right).sum(), np.square(right - found).sum()
    return round(float(10 * np.log10(max(signal, 1e-30) / max(error, 1e-30))), 1)


def worst_db(expected: Sequence[Samples], actual: Sequence[Samples]) -> float:
    """Return the lowest ratio of all windows and of their last samples."""
    return min(
        min(db(right, found), db(right[-LAST_SAMPLES:], found[-LAST_SAMPLES:]))
        for right, found in zip(expected, actual, strict=True)
    )


def equal(expected: Sequence[Samples], actual: Sequence[Samples]) -> bool:
    """True if all windows have the same samples, bit by bit."""
    return all(np.array_equal(a, b) for a, b in zip(expected, actual, strict=True))
