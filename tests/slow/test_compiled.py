"""A codec through torch.compile has the audio of the eager one.

It takes a C++ compiler and a minute.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from app.codec import CodeWindow
from app.codec.batch_decoder import network_decoder
from app.codec.graph_grid import Grid
from app.codec.graphs import GraphedCodec
from app.codec.neucodec.decoder import Size
from app.codec.neucodec.load import load_neucodec
from tests.audio_checks import snr_db
from tests.codec.host import Host

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of torch.compile about itself
def test_compiled_neucodec_is_near_the_eager_one_at_every_shape() -> None:
    size = Size(width=128, depth=1)
    eager = load_neucodec(
        "random", device="cpu", dtype=torch.float32, left_context_frames=50, size=size
    )
    compiled = network_decoder(eager.network, compiled=True)
    codec = GraphedCodec(
        eager, Host(), Grid((1, 2, 4), (32, 64)), int16_samples=False, decoder=compiled
    )
    codec.capture()
    rng = np.random.default_rng(0)
    windows = [CodeWindow(rng.integers(0, 65_536, (frames, 1), np.int32)) for frames in (1, 30, 33)]
    for window, samples in zip(windows, codec.decode(windows), strict=True):
        (expected,) = eager.decode([window])
        assert snr_db(expected, samples) >= 60
