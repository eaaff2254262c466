"""Decoding on two devices, each in its own thread, from one queue (FAKE_CUDA_DEVICES=2)."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from app.codec.torch_load import pick_devices
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from app.errors import LoadError
from tests.fake_cuda.fake_driver import FakeDriver, of_kind
from tests.fake_cuda.under_driver.codecs import chosen, load, samples_of

WINDOWS = 60
FRAMES = 30


def test_a_third_device_is_a_load_error() -> None:
    with pytest.raises(LoadError, match="there is no cuda:2, only cuda:0, cuda:1"):
        pick_devices("cuda:0,cuda:2")


async def test_each_device_decodes_with_its_own_graphs_and_stream(driver: FakeDriver) -> None:
    devices = pick_devices("cuda:0,cuda:1")
    with driver.logged() as calls:
        codecs = [load("neucodec", graph_s=(0.64,), max_batch=2, device=name) for name in devices]
        scheduler = Scheduler(codecs, DeadlineQueue(BatchLimits(2)))
        scheduler.start()
        choose = partial(chosen, codecs[0], FRAMES)
        decoded = await asyncio.gather(*(scheduler.decode(choose, 0.0) for _ in range(WINDOWS)))
        await scheduler.close()
    assert {len(each.samples) for each in decoded} == {samples_of(codecs[0], FRAMES)}
    assert of_kind(calls, "refused", "missing") == []
    captured = {(call.device, call.stream) for call in of_kind(calls, "end capture")}
    replayed = {(call.device, call.stream) for call in of_kind(calls, "graph")}
    assert replayed == captured
    assert sorted(device for device, _ in captured) == [0, 1]
