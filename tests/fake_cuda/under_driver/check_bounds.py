"""Bounds of the graphs' nodes and of the memory of a load with the default graphs, in float16.

The bounds are the figures of today, or a little more: lower them with the code that needs less.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest
import torch

from tests.fake_cuda.fake_driver import FakeDriver, graph_nodes
from tests.fake_cuda.under_driver.codecs import load


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that a load may need; memory in MB."""

    graphs: int
    nodes: int
    held: int  # by the device, when the codec is loaded
    peak: int  # while it is loaded
    pinned: int  # by the host


BOUNDS = {
    ("neucodec", 8): Bounds(graphs=42, nodes=136, held=660, peak=680, pinned=13),
    ("neucodec", 32): Bounds(graphs=70, nodes=136, held=1150, peak=1170, pinned=51),
    ("snac", 8): Bounds(graphs=36, nodes=58, held=920, peak=920, pinned=7),
    ("snac", 32): Bounds(graphs=60, nodes=58, held=3350, peak=3370, pinned=26),
}


@pytest.mark.parametrize(("name", "max_batch"), BOUNDS)
def test_a_load_stays_within_its_bounds(name: str, max_batch: int, driver: FakeDriver) -> None:
    bounds = BOUNDS[name, max_batch]
    gc.collect()
    torch.cuda.empty_cache()
    torch.accelerator.empty_host_cache()
    held_mb, pinned_mb = driver.held_mb, driver.pinned_mb
    driver.reset_peak()
    with driver.logged() as calls:
        codec = load(name, max_batch=max_batch)
    nodes = graph_nodes(calls)
    needed = Bounds(
        len(nodes),
        max(nodes),
        round(driver.held_mb - held_mb),
        round(driver.peak_mb - held_mb),
        round(driver.pinned_mb - pinned_mb),
    )
    assert needed.graphs == bounds.graphs
    assert needed.nodes <= bounds.nodes
    assert needed.held <= bounds.held
    assert needed.peak <= bounds.peak
    assert needed.pinned <= bounds.pinned
    del codec
