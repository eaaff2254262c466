"""Codecs load, are captured as graphs and decode, in each type of number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch

from app.codec import OverlappingCodec
from app.codec.graphs import GraphedCodec
from tests.fake_cuda.fake_driver import Call, FakeDriver, graph_nodes, of_kind
from tests.fake_cuda.under_driver.codecs import load, samples_of, window
from tests.metric_values import counted

GRAPH_S = (0.64, 2.0)
GRAPHED = [
    (name, dtype) for name in ("neucodec", "snac") for dtype in ("float32", "float16", "bfloat16")
]
MOST_NODES = {"neucodec": 140, "snac": 60}
DECODE_CALL = [
    *["copy H2D", "copy H2D", "graph", "copy D2H", "copy D2H", "record", "synchronize event"],
]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A codec, and the calls of CUDA that loaded it."""

    codec: GraphedCodec
    dtype: str
    calls: list[Call]


@pytest.fixture(scope="module", params=GRAPHED, ids="-".join)
def loaded(request: pytest.FixtureRequest, driver: FakeDriver) -> Iterator[Loaded]:
    name, dtype = request.param
    with driver.logged() as calls:
        codec = load(name, dtype, graph_s=GRAPH_S)
    assert isinstance(codec, GraphedCodec)
    yield Loaded(codec, dtype, calls)
    torch.cuda.empty_cache()


def test_every_shape_is_captured(loaded: Loaded) -> None:
    shapes = list(loaded.codec.grid.largest_first())
    assert len(graph_nodes(loaded.calls)) == len(shapes)
    assert {call.detail for call in of_kind(loaded.calls, "begin capture")} == {"thread-local"}
    assert of_kind(loaded.calls, "refused", "missing") == []


def test_small_operations_are_fused(loaded: Loaded) -> None:
    if loaded.dtype == "bfloat16" and torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("a T4 has no bfloat16 products")
    assert max(graph_nodes(loaded.calls)) <= MOST_NODES[loaded.codec.spec.name]


def test_a_call_is_copies_a_graph_and_an_event_on_one_stream(
    loaded: Loaded, driver: FakeDriver
) -> None:
    codec = loaded.codec
    with driver.logged() as calls:
        codec.decode([window(codec, 10)])
    events = of_kind(calls, "create event")
    assert {event.detail for event in events} <= {"blocking"}
    submitted = [call for call in calls if call not in events]
    assert [call.short for call in submitted] == DECODE_CALL
    assert len({call.stream for call in submitted if call.kind != "synchronize"}) == 1


def test_two_batches_in_flight_are_submitted_before_either_is_waited_for(
    loaded: Loaded, driver: FakeDriver
) -> None:
    codec = loaded.codec
    batches = [[window(codec, 10)], [window(codec, 20), window(codec, 7)]]
    with driver.logged() as calls:
        decodings = [codec.submit(batch) for batch in batches]
        for decoding in decodings:
            decoding.wait()
    kinds = [call.kind for call in of_kind(calls, "graph", "synchronize")]
    assert kinds == ["graph", "graph", "synchronize", "synchronize"]
    for batch, decoding in zip(batches, decodings, strict=True):
        assert [len(samples) for samples in decoding.samples()] == [
            samples_of(codec, len(each.codes)) for each in batch
        ]


def test_a_window_too_long_for_every_graph_is_decoded_eagerly_on_the_same_stream(
    loaded: Loaded, driver: FakeDriver
) -> None:
    codec = loaded.codec
    frames = codec.grid.frames[-1] + 1
    misses = counted("tts_decode_graph_misses_total")
    with driver.logged() as calls:
        codec.decode([window(codec, 1)])
        (samples,) = codec.decode([window(codec, frames)])
    assert len(samples) == samples_of(codec, frames)
    assert counted("tts_decode_graph_misses_total") == misses + 1
    assert len(of_kind(calls, "graph")) == 1
    assert of_kind(calls, "refused", "missing") == []
    eager = of_kind(calls, "kernel", "product", "transform", "convolution", "fill")
    assert len(eager) > 100
    assert len({call.stream for call in (*of_kind(calls, "graph"), *eager)}) == 1


def test_the_built_in_codec_decodes_without_graphs(driver: FakeDriver) -> None:
    with driver.logged() as calls:
        codec = load("builtin")
        (samples,) = codec.decode([window(codec, 50)])
    assert not isinstance(codec, OverlappingCodec)
    assert len(samples) == samples_of(codec, 50)
    assert of_kind(calls, "begin capture", "refused", "missing") == []
