"""Part `neucodec`: correctness of NeuCodec with its graphs, then memory and times."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from app.audio.samples import Samples
from app.codec import CodeWindow, Decoding, OutOfMemory
from app.codec.load import CodecOptions
from bench.decode import finish
from bench.gpu.codecs import (
    LEAST_DB,
    ReadableCuda,
    accelerator_of,
    equal,
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

MOST_NODES = 200
SHAPES = (
    *((1, 32), (1, 64), (1, 128), (4, 64), (8, 64)),
    *((16, 128), (32, 64), (32, 128), (32, 256), (32, 384)),
)
QUICK_SHAPES = ((1, 64), (8, 64), (32, 64), (32, 128), (32, 384))
PROFILED = ((1, 64), (32, 128), (32, 384))
GRAPH_S = (1.28, 2.56, 7.68)  # lengths of the graphs of a quick run
LEFT_FREE_BYTES = 300_000_000  # too little for a large batch without a graph


def run(steps: Steps, setup: Setup) -> None:
    """Print the steps of this part."""
    checks = Checks(setup)
    steps.run("near_cpu", checks.near_cpu, needs_s=10)
    if not setup.host:
        steps.run("dtypes", checks.dtypes, needs_s=10)
    if not steps.run("load", checks.load, needs_s=60):
        return
    steps.run("graphs_as_eager", checks.graphs_as_eager)
    steps.run("batch_as_alone", checks.batch_as_alone)
    steps.run("no_trace_of_earlier_batch", checks.no_trace_of_earlier_batch)
    steps.run("two_in_flight", checks.two_in_flight, needs_s=10)
    steps.run("busy_device", checks.busy_device, needs_s=10)
    shapes = ((1, 32), (2, 32)) if setup.host else QUICK_SHAPES if setup.quick else SHAPES
    if not setup.host:
        steps.run("nodes", checks.nodes)
    steps.run("times", lambda: shape_times(setup, checks.codec, shapes), needs_s=20)
    if not setup.host:
        steps.run("kernels", checks.kernels, needs_s=15)
        steps.run("first_calls_without_graph", checks.first_calls_without_graph, needs_s=10)
        steps.run("too_little_memory", checks.too_little_memory, needs_s=10)


def memory_bytes() -> tuple[int, int]:
    """Return the free memory of the GPU, and the memory that torch holds, without its cache."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.mem_get_info()[0], torch.cuda.memory_reserved()


class Checks:
    """NeuCodec in float32 without graphs, and, after `load`, as served, with and without graphs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.exact = load_eager(setup, "neucodec", "float32")
        self.mixed = random_windows(self.exact, setup.lengths)
        self.expected = self.exact.decode(self.mixed)

    def near_cpu(self) -> Row:
        """Compare float32 on the device with float32 on the CPU."""
        short = random_windows(self.exact, [1, 7, 31])
        threads = torch.get_num_threads()
        on_cpu = load_eager(self.setup, "neucodec", "float32", "cpu").decode(short)
        torch.set_num_threads(threads)  # a codec on a CPU sets it to 1
        near_db = worst_db(on_cpu, self.exact.decode(short))
        return {"db": near_db, "ok": near_db >= LEAST_DB["float32"]}

    def dtypes(self) -> Row:
        """Compare narrow types with float32."""
        near_db = {
            dtype: worst_db(
                self.expected, load_eager(self.setup, "neucodec", dtype).decode(self.mixed)
            )
            for dtype in LEAST_DB
        }
        is_near = all(near_db[dtype] >= least for dtype, least in LEAST_DB.items())
        return {**near_db, "ok": is_near}

    def load(self) -> Row:
        """Load the codec and capture its graphs like the service."""
        setup = self.setup
        self.eager = load_eager(setup, "neucodec", setup.dtype)
        free_bytes, reserved_bytes = (0, 0) if setup.host else memory_bytes()
        started_s = time.perf_counter()
        graph_s = GRAPH_S if setup.quick else None
        self.codec = load_graphed(setup, CodecOptions("neucodec", "random", graph_s=graph_s))
        row: Row = {
            "load_s": round(time.perf_counter() - started_s, 2),
            "graphs": len(list(self.codec.grid.largest_first())),
        }
        if setup.host:
            return row
        peak_bytes = torch.cuda.max_memory_reserved()
        return {
            **row,
            "captures_s": round(cast(ReadableCuda, accelerator_of(self.codec)).captures_s, 2),
            "memory_mb": round((free_bytes - memory_bytes()[0]) / 1e6),
            "peak_memory_mb": round((peak_bytes - reserved_bytes) / 1e6),
        }

    def graphs_as_eager(self) -> Row:
        """Compare graphs with eager calls and with float32."""
        found = self.codec.decode(self.mixed)
        eager_db = worst_db(self.eager.decode(self.mixed), found)
        float32_db = worst_db(self.expected, found)
        return {
            "db": eager_db,
            "against_float32_db": float32_db,
            "ok": min(eager_db, float32_db) >= LEAST_DB[self.setup.dtype],
        }

    def batch_as_alone(self) -> Row:
        """Compare a batch of mixed lengths with each window alone."""
        alone = [self.codec.decode([window])[0] for window in self.mixed]
        near_db = worst_db(alone, self.codec.decode(self.mixed))
        return {"db": near_db, "ok": near_db >= LEAST_DB[self.setup.dtype]}

    def no_trace_of_earlier_batch(self) -> Row:
        """Decode a window before and after full batches of other codes."""
        window = random_windows(self.codec, [20], seed=9)
        grid = self.codec.grid
        before = self.codec.decode(window)
        for seed in range(3):
            self.codec.decode(random_windows(self.codec, [grid.frames[-1]] * grid.rows[-1], seed))
        return {"ok": equal(before, self.codec.decode(window))}

    def two_in_flight(self) -> Row:
        """Decode batches of random sizes in random orders, two at a time, against each alone."""
        rng, grid = np.random.default_rng(5), self.codec.grid
        batches: list[list[CodeWindow]] = []
        for seed in range(4 if self.setup.host else 12):
            lengths = rng.integers(1, grid.frames[-1] + 1, int(rng.integers(1, grid.rows[-1] + 1)))
            batches.append(random_windows(self.codec, lengths.tolist(), seed))
        alone = [self.codec.decode(batch) for batch in batches]
        orders = [rng.permutation(len(batches)) for _ in range(2 if self.setup.host else 8)]
        wrong = sum(
            not equal(alone[number], found)
            for order in orders
            for number, found in zip(order, self._overlapped(batches, order), strict=True)
        )
        return {"batches": len(batches) * len(orders), "different": wrong, "ok": wrong == 0}

    def _overlapped(
        self, batches: Sequence[Sequence[CodeWindow]], order: Sequence[int]
    ) -> list[list[Samples]]:
        """Decode batches in an order as the scheduler does: the next before reading the last."""
        results: list[list[Samples]] = []
        in_flight: deque[Decoding] = deque()
        for number in order:
            decoded = in_flight.popleft() if len(in_flight) == 2 else None
            if decoded:
                decoded.wait()
            in_flight.append(self.codec.submit(batches[number]))
            if decoded:
                results.append(decoded.samples())
        return [*results, *map(finish, in_flight)]

    def busy_device(self) -> Row:
        """Decode in a thread while another one runs products and waits for them."""
        expected = self.codec.decode(self.mixed)
        stop = threading.Event()
        found: list[bool] = []

        def multiply() -> None:
            x = torch.randn(512, 512, device=self.setup.device)
            while not stop.is_set():
                (x @ x).cpu()

        def decode() -> None:
            for _ in range(2 if self.setup.host else 40):
                found.append(equal(expected, self.codec.decode(self.mixed)))

        other, decoder = threading.Thread(target=multiply), threading.Thread(target=decode)
        other.start()
        decoder.start()
        decoder.join()
        stop.set()
        other.join()
        return {"calls": len(found), "ok": bool(found) and all(found)}

    def nodes(self) -> Row:
        """Count the nodes of the largest graph."""
        shape = next(self.codec.grid.largest_first())
        count = count_nodes(graph_of(self.codec, shape))
        return {"nodes": count, "at_most": MOST_NODES, "ok": 0 < count <= MOST_NODES}

    def kernels(self) -> Row:
        """Return the time of the kernels by kind."""
        rows: Row = {}
        for shape in PROFILED:
            with accelerator_of(self.codec).stream():
                rows["x".join(map(str, shape))] = kernel_times(replay_of(self.codec, shape))
        return rows

    def first_calls_without_graph(self) -> Row:
        """Return the time of calls of new lengths, which create plans, in a thread of their own."""
        calls_ms: list[Row] = []

        def call() -> None:
            for frames in (45, 46, 47, 46):
                windows = random_windows(self.eager, [frames, 20])
                started_s = time.perf_counter()
                self.eager.decode(windows)
                took_ms = 1e3 * (time.perf_counter() - started_s)
                calls_ms.append({"frames": frames, "ms": round(took_ms, 1)})

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        return {"calls": calls_ms, "ok": len(calls_ms) == 4}

    def too_little_memory(self) -> Row:
        """Fill the memory: an eager call must raise OutOfMemory, and graphs must still run."""
        windows = random_windows(self.codec, [384] * 32)
        expected = self.codec.decode(windows)
        torch.cuda.empty_cache()
        filler = torch.empty(
            max(0, torch.cuda.mem_get_info()[0] - LEFT_FREE_BYTES), dtype=torch.uint8, device="cuda"
        )
        try:
            self.eager.decode(windows)
            is_refused = False
        except OutOfMemory:
            is_refused = True
        graphs_run = equal(expected, self.codec.decode(windows))
        del filler
        torch.cuda.empty_cache()
        recovered = len(self.eager.decode(windows)) == len(windows)
        return {
            "refused": is_refused,
            "graphs_run": graphs_run,
            "recovered": recovered,
            "ok": is_refused and graphs_run and recovered,
        }
