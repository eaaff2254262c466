"""Part `compiled`: NeuCodec with torch.compile."""

from __future__ import annotations

import time

from torch._dynamo.utils import counters

from app.codec.load import CodecOptions
from bench.gpu.codecs import LEAST_DB, graph_of, load_eager, load_graphed, random_windows, worst_db
from bench.gpu.graph_nodes import count_nodes
from bench.gpu.setup import Setup
from bench.gpu.steps import Row, Steps
from bench.gpu.timing import shape_times

GRAPH_S = (1.28, 7.68)
SHAPES = ((1, 64), (8, 64), (32, 64), (32, 384))


def run(steps: Steps, setup: Setup) -> None:
    """Print the step of this part."""
    if setup.host:
        steps.skip("compiled", "no GPU")
        return
    steps.run("compiled", lambda: compiled(setup), needs_s=60)


def compiled(setup: Setup) -> Row:
    """Return the time of compiling, its deviation from eager calls, and the times of calls."""
    eager = load_eager(setup, "neucodec", setup.dtype)
    started_s = time.perf_counter()
    codec = load_graphed(setup, CodecOptions("neucodec", "random", graph_s=GRAPH_S, compiled=True))
    took_s = time.perf_counter() - started_s
    windows = random_windows(codec, setup.lengths)
    near_db = worst_db(eager.decode(windows), codec.decode(windows))
    largest = next(codec.grid.largest_first())
    return {
        "compile_and_capture_s": round(took_s, 1),
        "compilations": counters["stats"]["unique_graphs"],
        "db": near_db,
        "nodes": count_nodes(graph_of(codec, largest)),
        "times": shape_times(setup, codec, SHAPES),
        "ok": near_db >= LEAST_DB[setup.dtype],
    }
