"""Part `snac`: correctness of SNAC with its graphs, then times."""

from __future__ import annotations

import importlib.util
import time
from functools import partial

from app.codec import CodeWindow
from app.codec.load import CodecOptions
from app.codec.registry import Dtype
from bench.gpu.codecs import (
    LEAST_DB,
    accelerator_of,
    db,
    graph_of,
    load_eager,
    load_graphed,
    random_windows,
    replay_of,
    worst_db,
)
from bench.gpu.graph_nodes import count_nodes, kernel_times
from bench.gpu.setup import Setup
from bench.gpu.steps import Row, Steps
from bench.gpu.timing import shape_times

SHAPES = ((1, 8), (1, 16), (8, 16), (32, 16), (32, 32), (32, 64))
PROFILED = (32, 32)
FRAMES_PER_S = 24_000 / 2_048
GRAPH_S = tuple(frames / FRAMES_PER_S for frames in (8, 16, 32, 64))


def run(steps: Steps, setup: Setup) -> None:
    """Print the steps of this part."""
    if importlib.util.find_spec("snac") is None:
        steps.skip("load", "the package snac is not installed")
        return
    dtypes: tuple[Dtype, ...] = ("float32",) if setup.host else ("float32", "float16")
    for dtype in dtypes:
        checks = Checks(setup, dtype)
        if not steps.run(f"{dtype}_load", checks.load, needs_s=15):
            continue
        steps.run(f"{dtype}_samples", checks.samples, needs_s=10)
        steps.run(f"{dtype}_seams", checks.seams)
        shapes = SHAPES[:1] if setup.host else SHAPES
        times = partial(shape_times, setup, checks.codec, shapes)
        steps.run(f"{dtype}_times", times, needs_s=10)
        if not setup.host:
            steps.run(f"{dtype}_kernels", checks.kernels, needs_s=8)


class Checks:
    """SNAC with matrices of one type, with and without graphs."""

    def __init__(self, setup: Setup, dtype: Dtype) -> None:
        self.setup = setup
        self.dtype: Dtype = dtype

    def load(self) -> Row:
        """Load the codec and capture its graphs like the service."""
        self.eager = load_eager(self.setup, "snac", self.dtype)
        started_s = time.perf_counter()
        options = CodecOptions("snac", "random", self.dtype, graph_s=GRAPH_S)
        self.codec = load_graphed(self.setup, options)
        return {
            "load_s": round(time.perf_counter() - started_s, 2),
            "graphs": len(list(self.codec.grid.largest_first())),
        }

    def samples(self) -> Row:
        """Compare graphs with eager calls, with each window alone, and with float32 on the CPU."""
        windows = random_windows(self.codec, [1, 5, 7] if self.setup.host else [1, 5, 11, 31, 64])
        found = self.codec.decode(windows)
        alone = [self.codec.decode([window])[0] for window in windows]
        on_cpu = load_eager(self.setup, "snac", "float32", "cpu").decode(windows[:2])
        near_db = {
            "graphs_as_eager_db": worst_db(self.eager.decode(windows), found),
            "batch_as_alone_db": worst_db(alone, found),
            "near_cpu_float32_db": worst_db(on_cpu, found[:2]),
        }
        return {**near_db, "ok": min(near_db.values()) >= LEAST_DB[self.dtype]}

    def seams(self) -> Row:
        """Compare the frames of a window, decoded within its context, with those of the whole."""
        spec = self.codec.spec
        (whole,) = random_windows(self.codec, [8])
        first, context = 1, spec.left_context_frames
        part = CodeWindow(whole.codes[first:], whole.first_frame + first, context)
        begin = (first + context) * spec.samples_per_frame
        near_db = db(self.codec.decode([whole])[0][begin:], self.codec.decode([part])[0])
        return {"db": near_db, "ok": near_db >= LEAST_DB[self.dtype]}

    def kernels(self) -> Row:
        """Count the nodes of a graph, and return the time of its kernels by kind."""
        nodes = count_nodes(graph_of(self.codec, PROFILED))
        with accelerator_of(self.codec).stream():
            times = kernel_times(replay_of(self.codec, PROFILED))
        return {"nodes": nodes, "times": times}
