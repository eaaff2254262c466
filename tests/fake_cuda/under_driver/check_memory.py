"""A device with too little memory, while a codec is loaded and while it decodes."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

import pytest
import torch

from app.codec import Codec, OutOfMemory
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from app.errors import LoadError
from tests.fake_cuda.fake_driver import FakeDriver
from tests.fake_cuda.under_driver.codecs import chosen, load, samples_of, window

FRAMES = 300
ROWS = 8


@pytest.mark.parametrize(
    ("name", "memory_mb"),
    [("neucodec", 100), ("neucodec", 600), ("snac", 600)],
    ids=["weights of neucodec", "graphs of neucodec", "graphs of snac"],
)
def test_a_load_that_finds_no_memory_is_a_load_error_and_can_be_tried_again(
    name: str, memory_mb: int, driver: FakeDriver
) -> None:
    gc.collect()
    torch.cuda.empty_cache()
    before_mb = driver.held_mb
    with (
        driver.memory_of(before_mb + memory_mb),
        pytest.raises(LoadError, match=r"too little memory.*lower MAX_BATCH_SIZE"),
    ):
        load(name, "float32", max_batch=32)
    gc.collect()
    torch.cuda.empty_cache()
    assert driver.held_mb - before_mb < 50
    codec = load(name, graph_s=(1.0,), max_batch=1)
    (samples,) = codec.decode([window(codec, 5)])
    assert len(samples) == samples_of(codec, 5)


async def test_a_batch_that_finds_no_memory_is_halved_and_the_next_one_is_not(
    driver: FakeDriver, caplog: pytest.LogCaptureFixture
) -> None:
    codec = load("neucodec", graph_s=())
    half_mb, whole_mb = (batch_mb(codec, rows, driver) for rows in (ROWS // 2, ROWS))
    assert half_mb < 0.8 * whole_mb
    scheduler = Scheduler([codec], DeadlineQueue(BatchLimits(ROWS)))
    scheduler.start()

    async def decode_batch() -> int:
        """Decode a full batch; return the number of calls that found no memory."""
        caplog.clear()
        choose = partial(chosen, codec, FRAMES)
        decoded = await asyncio.gather(*(scheduler.decode(choose, 0.0) for _ in range(ROWS)))
        assert {len(each.samples) for each in decoded} == {samples_of(codec, FRAMES)}
        return caplog.text.count("out of memory decoding")

    try:
        with driver.memory_of(driver.held_mb + (half_mb + whole_mb) / 2):
            assert await decode_batch() == 1
        assert await decode_batch() == 0
    finally:
        await scheduler.close()


def batch_mb(codec: Codec, rows: int, driver: FakeDriver) -> float:
    """Return the device memory that a call needs beyond the weights."""
    torch.cuda.empty_cache()
    driver.reset_peak()
    held_mb = driver.held_mb
    codec.decode([window(codec, FRAMES)] * rows)
    torch.cuda.empty_cache()
    return driver.peak_mb - held_mb


def test_a_batch_that_finds_no_memory_raises_out_of_memory(driver: FakeDriver) -> None:
    codec = load("snac", graph_s=())
    torch.cuda.empty_cache()
    with driver.memory_of(driver.held_mb + 20), pytest.raises(OutOfMemory):
        codec.decode([window(codec, FRAMES)] * ROWS)
    assert len(codec.decode([window(codec, FRAMES)] * ROWS)) == ROWS
