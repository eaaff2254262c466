"""The audio does not depend on the batch: real codecs, 16 concurrent requests over HTTP."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.audio.samples import Samples
from app.codec import Codec, CodeWindow
from app.codec.builtin.load import load_builtin_codec
from app.codec.neucodec.decoder import Size
from app.codec.neucodec.load import load_neucodec
from app.codec.snac import load_snac
from app.codec.spec import CodecSpec
from app.config.settings import Settings
from tests.fakes import UNREACHABLE, FixedEngine
from tests.live_server import SPEECH, Served, serving, settings_for_tests

pytestmark = pytest.mark.process

REQUESTS = 16
FIRST_WINDOWS_S = (0.2, 0.4, 0.6)
SMALL = Size(width=128, depth=2)


@dataclass
class Counted:
    """A codec that notes the lengths of the windows of each call."""

    codec: Codec
    batches: list[list[int]] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)

    @property
    def spec(self) -> CodecSpec:
        """The codec's own."""
        return self.codec.spec

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode as the codec does, once the device is free."""
        assert self.free.wait(30)
        self.batches.append([len(window.codes) for window in windows])
        return self.codec.decode(windows)


def codec_and_settings(name: str) -> tuple[Codec, Settings]:
    torch.set_num_threads(1)
    everybody = {
        "engine_urls": UNREACHABLE,
        "max_decode_load": 0,
    }  # is let in, whether or not the device keeps up
    if name == "builtin":
        return load_builtin_codec(), settings_for_tests(max_decode_load=0)
    if name == "snac":
        snac = load_snac("random", device="cpu", dtype=torch.float32)
        return snac, settings_for_tests(**everybody, model_profile="orpheus", max_batch_frames=64)
    neucodec = load_neucodec(
        "random", device="cpu", dtype=torch.float32, left_context_frames=50, size=SMALL
    )
    return neucodec, settings_for_tests(**everybody, model_profile="scicom", max_batch_frames=1000)


def numbers_for(spec: CodecSpec) -> list[int]:
    """Token numbers of 3 s (SNAC: 0.8 s, it is slower), as the profile of the codec writes them."""
    rng = np.random.default_rng(5)
    if spec.codes_per_frame == 1:
        return [int(code) for code in rng.integers(0, spec.vocabulary, 153)]
    return [
        10 + int(code) + spec.vocabulary * (k % 7)
        for k, code in enumerate(rng.integers(0, 4096, 7 * 9))
    ]


@pytest.mark.parametrize("name", ["builtin", "snac", "neucodec"])
async def test_sixteen_staggered_requests_sound_as_one_at_a_time(name: str) -> None:
    codec, settings = codec_and_settings(name)
    counted = Counted(codec)
    numbers = numbers_for(codec.spec)
    engine = FixedEngine(numbers, burst=5, gap_s=0.003)
    counted.free.set()
    async with serving(engine, counted, settings) as served:
        alone = [await heard(served, first_s) for first_s in FIRST_WINDOWS_S]
        engine.gap_s = 0.02
        asked = [index % len(FIRST_WINDOWS_S) for index in range(REQUESTS)]
        counted.free.clear()  # until some windows wait, so that different lengths share a batch
        asking = [
            asyncio.create_task(heard(served, FIRST_WINDOWS_S[kind], after_s=0.013 * index))
            for index, kind in enumerate(asked)
        ]
        await served.until_waiting(6)
        counted.free.set()
        answers = await asyncio.gather(*asking)
    assert any(len(set(batch)) > 1 for batch in counted.batches), "no batch held different lengths"
    for kind, answer in zip(asked, answers, strict=True):
        assert (
            len(answer) == len(numbers) // codec.spec.codes_per_frame * codec.spec.samples_per_frame
        )
        assert np.abs(answer - alone[kind]).max() <= 1


async def heard(served: Served, first_s: float, *, after_s: float = 0.0) -> NDArray[np.int64]:
    """One answer's samples; the seed pins the windows of a codec whose boundaries can be heard."""
    await asyncio.sleep(after_s)
    body = {"input": "Hello.", "response_format": "pcm", "seed": 1, "playback_speed": first_s}
    answer: httpx.Response = await served.client.post(SPEECH, json=body)
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<i2").astype(np.int64)
