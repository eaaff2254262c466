"""Part `service`: the scheduler alone, then the whole service behind a fake engine.

The scheduler gets the windows of streams whose codes have all arrived. The whole service is that of
`bench.load`: closed loops of clients that never pause, and sessions that arrive at a rate. Each
closed loop also runs with a free codec, which takes no time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial

from app.codec.graphs import GraphedCodec
from app.codec.load import CodecOptions
from app.decode.call_cost import limit_gpu_calls, measure_call_cost
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from bench.batching import DecodedAudio, answer
from bench.gpu.codecs import load_graphed
from bench.gpu.setup import Setup
from bench.gpu.steps import Row, Steps

SCHEDULER_STREAMS = (1, 16, 64, 200)
ANSWER_FRAMES = 500  # ten seconds
FIRST_FRAMES = 21  # a first window of 0.4 s with its look-ahead


def run(steps: Steps, setup: Setup) -> None:
    """Print the steps of this part."""
    codec = load_graphed(setup, CodecOptions("neucodec", "random"))
    steps.run("call_cost", partial(measure_cost, codec), needs_s=3)
    seconds = 0.5 if setup.host else 4.0
    for streams in (1, 4) if setup.host else SCHEDULER_STREAMS:
        measure = partial(scheduler_row, codec, streams, seconds)
        steps.run(f"scheduler_{streams}_streams", measure, needs_s=8)
    try:
        from bench.gpu import whole_service  # noqa: PLC0415  (needs packages that may be missing)
    except ImportError as exc:
        steps.skip("whole_service", f"a package is not installed: {exc}")
        return
    whole_service.run(steps, setup, codec)


def measure_cost(codec: GraphedCodec) -> Row:
    """Measure the cost of a call as the service does at startup, and set it in the codec's spec."""
    spec = codec.spec
    limits = BatchLimits(codec.grid.rows[-1], frame_steps=spec.frame_steps)
    cost = measure_call_cost([codec], limits, FIRST_FRAMES, other_cores=None)
    if cost is None:
        return {"us_per_frame": None}
    limits = limit_gpu_calls(limits, cost, spec)
    codec.spec = replace(spec, call_overhead_frames=limits.call_overhead_frames)
    return {
        "us_per_frame": round(1e6 * cost.s_per_frame, 3),
        "call_overhead_frames": limits.call_overhead_frames,
        "max_batch_frames": limits.padded_frames,
    }


def scheduler_row(codec: GraphedCodec, streams: int, seconds: float) -> Row:
    """Decode answers in `streams` tasks that never pause."""
    return asyncio.run(decode_freely(codec, streams, seconds))


async def decode_freely(codec: GraphedCodec, streams: int, seconds: float) -> Row:
    """Run the streams until no answer has begun for `seconds`; return new audio per second."""
    limits = BatchLimits(
        windows=codec.grid.rows[-1],
        frame_steps=codec.spec.frame_steps,
        call_overhead_frames=codec.spec.call_overhead_frames,
    )
    scheduler = Scheduler([codec], DeadlineQueue(limits), limits=limits)
    scheduler.start()
    decoded = DecodedAudio()
    answers_s: list[float] = []
    started_s = time.monotonic()

    async def stream() -> None:
        while (begin_s := time.monotonic()) < started_s + seconds:
            await answer(scheduler, ANSWER_FRAMES, decoded)
            answers_s.append(time.monotonic() - begin_s)

    await asyncio.gather(*(stream() for _ in range(streams)))
    took_s = time.monotonic() - started_s
    await scheduler.close()
    return {
        "audio_s_per_s": round(decoded.audio_s / took_s),
        "answers": len(answers_s),
        "answer_s_max": round(max(answers_s), 3),
    }
