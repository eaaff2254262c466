"""Part `fused`: NeuCodec's fused kernels beside torch's own operations."""

from __future__ import annotations

import time
from functools import partial

import torch

from app.codec.eager import EagerCodec
from app.codec.fused.load import load_fused
from app.codec.graphs import GraphedCodec
from app.codec.load import CodecOptions
from app.codec.registry import CODECS, Dtype
from app.codec.weights import DTYPES
from bench.gpu.codecs import (
    LEAST_DB,
    accelerator_of,
    graph_of,
    load_eager,
    load_graphed,
    random_windows,
    replay_of,
    worst_db,
)
from bench.gpu.graph_nodes import count_nodes
from bench.gpu.setup import Setup
from bench.gpu.steps import Row, Steps
from bench.gpu.timing import device_ms

GRAPH_S = (1.28, 2.56, 7.68)
ROWS = 32
FEW_ROWS = 8  # of the graphs whose samples are compared
SHAPES = ((1, 64), (8, 64), (32, 64), (32, 128), (32, 384))


def run(steps: Steps, setup: Setup) -> None:
    """Print the steps of this part."""
    if setup.host:
        steps.skip("fused", "no GPU")
        return
    exact = load_eager(setup, "neucodec", "float32")
    for dtype in (setup.dtype,) if setup.quick else tuple(LEAST_DB):
        steps.run(f"samples_{dtype}", partial(samples, setup, exact, dtype), needs_s=15)
    steps.run("times", lambda: times(setup), needs_s=20)


def load(setup: Setup, dtype: Dtype, rows: int, *, fused: bool) -> GraphedCodec:
    """Load NeuCodec with few graphs, with fused kernels or without."""
    options = CodecOptions(
        "neucodec", "random", dtype, graph_s=GRAPH_S, max_batch=rows, fused=fused
    )
    return load_graphed(setup, options)


def samples(setup: Setup, exact: EagerCodec, dtype: Dtype) -> Row:
    """Compile the kernels, then compare both decoders with eager calls in float32.

    The service would decode without the kernels if they failed, so their error is raised here.
    """
    loader = CODECS["neucodec"].fused_loader
    assert loader is not None
    eager = exact if dtype == "float32" else load_eager(setup, "neucodec", dtype)
    sample_dtype = torch.float32 if dtype == "float32" else torch.int16
    started_s = time.perf_counter()
    load_fused(loader, eager, DTYPES[dtype], sample_dtype)
    compile_s = time.perf_counter() - started_s
    windows = random_windows(exact, setup.lengths)
    expected = exact.decode(windows)
    found = {
        name: load(setup, dtype, FEW_ROWS, fused=fused).decode(windows)
        for name, fused in (("fused", True), ("plain", False))
    }
    fused_db = worst_db(expected, found["fused"])
    return {
        "compile_s": round(compile_s, 2),
        "fused_db": fused_db,
        "plain_db": worst_db(expected, found["plain"]),
        "fused_against_plain_db": worst_db(found["plain"], found["fused"]),
        "ok": fused_db >= LEAST_DB[dtype],
    }


def times(setup: Setup) -> Row:
    """Compare nodes and times; the fused kernels must have been chosen, and so have fewer nodes."""
    fused = load(setup, setup.dtype, ROWS, fused=True)
    plain = load(setup, setup.dtype, ROWS, fused=False)
    rows: Row = {}
    is_chosen = True
    for shape in SHAPES:
        fused_nodes, plain_nodes = (count_nodes(graph_of(codec, shape)) for codec in (fused, plain))
        fused_ms, plain_ms = (graph_ms(setup, codec, shape) for codec in (fused, plain))
        is_chosen = is_chosen and fused_nodes < plain_nodes
        rows[name_of(shape)] = {
            "fused_nodes": fused_nodes,
            "plain_nodes": plain_nodes,
            "fused_ms": round(fused_ms, 3),
            "plain_ms": round(plain_ms, 3),
            "speedup": round(plain_ms / fused_ms, 2),
        }
    return {"ok": is_chosen, **rows}


def graph_ms(setup: Setup, codec: GraphedCodec, shape: tuple[int, int]) -> float:
    """Return the time of a graph on the device."""
    with accelerator_of(codec).stream():
        return device_ms(setup, replay_of(codec, shape))


def name_of(shape: tuple[int, int]) -> str:
    """Return `ROWSxFRAMES`."""
    return f"{shape[0]}x{shape[1]}"
