from __future__ import annotations

import asyncio

import numpy as np
import pytest

from app.codec import CodeWindow
from app.decode.queue import BatchLimits
from app.decode.scheduler import Scheduler
from bench.batching import CountingCodec, DecodedAudio, answer
from bench.policies import make_queue
from tests.fakes import ToneCodec


def window(frames: int) -> CodeWindow:
    return CodeWindow(np.zeros((frames, 1), np.int32))


@pytest.mark.parametrize("policy", ["deadline", "exact length", "one by one"])
async def test_every_answer_is_decoded_once_and_whole(policy: str) -> None:
    calls, decoded = CountingCodec(ToneCodec()), DecodedAudio()
    scheduler = Scheduler([calls], make_queue(policy, BatchLimits(8)))
    scheduler.start()
    await asyncio.gather(*(answer(scheduler, frames, decoded) for frames in (151, 300, 499)))
    await scheduler.close()
    assert decoded.audio_s == pytest.approx((151 + 300 + 499) / 50)
    assert calls.calls > 0


def test_padding_is_counted() -> None:
    calls = CountingCodec(ToneCodec())
    calls.decode([window(30), window(50)])
    calls.decode([window(20)])
    assert (calls.calls, calls.frames, calls.padded_frames) == (2, 100, 120)
