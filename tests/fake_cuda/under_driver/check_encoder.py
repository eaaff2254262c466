"""The encoder of cloned voices runs on the codec's device."""

from __future__ import annotations

import numpy as np

from app.codec.load import load_encoder
from tests.fake_cuda.fake_driver import FakeDriver, of_kind

RATE_HZ = 16_000
CODES_PER_S = 50


def test_a_recording_is_encoded_on_the_device(driver: FakeDriver) -> None:
    with driver.logged() as calls:
        encoder = load_encoder("neucodec", "random", "cuda")
        codes = encoder.encode(np.zeros(3 * RATE_HZ, np.float32))
    assert len(codes) == 3 * CODES_PER_S
    assert len(of_kind(calls, "kernel", "convolution", "product")) > 500
    assert of_kind(calls, "refused", "missing") == []
