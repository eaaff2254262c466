"""Benefit of batched decode calls on a CPU: `python -m bench.batching` (about two minutes).

Streams with staggered starts decode answers of 3 to 6 s window by window through the service's
scheduler. All codes of an answer are available at once. The windows are those of the service, so
their lengths are mixed; NeuCodec uses the windows of a request with a seed, which do not depend on
timing. There is one decode thread and one torch thread; NeuCodec has random weights.

Four queues decode the same answers: the service's queue, the service's queue without its padding
limit, batches of equal lengths, and one window per call. The result is seconds of new audio per
second of CPU time, as a ratio to one window per call in the same round. Each codec has its own
file in bench/results/.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import uvloop

from app.audio.samples import Samples
from app.codec import Codec, CodeWindow
from app.codec.load import CodecOptions, load_codec
from app.codec.registry import CODECS
from app.decode.queue import BatchLimits
from app.decode.scheduler import Scheduler
from app.tokens.windows import StreamProgress, Window, WindowSchedule, plan_windows
from bench.machine import write_result
from bench.policies import Policy, make_queue

STREAMS = 6
STAGGER_S = 0.15
MIN_FRAMES, MAX_FRAMES = 150, 300
ANSWERS = {"neucodec": 1, "builtin": 4}  # answers per stream
S_PER_FRAME = 1 / 400  # generation time of a frame, as given to the window schedule
BASE: Policy = "one by one"
MEASURED = ("neucodec", "builtin")


@dataclass(slots=True)
class DecodedAudio:
    """Seconds of decoded audio."""

    audio_s: float = 0.0


class CountingCodec:
    """Codec wrapper that counts calls, frames and padded frames."""

    def __init__(self, codec: Codec) -> None:
        self._codec, self.spec = codec, codec.spec
        self.calls = self.frames = self.padded_frames = 0

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode a batch and count it."""
        lengths = [len(window.codes) for window in windows]
        self.calls += 1
        self.frames += sum(lengths)
        self.padded_frames += max(lengths) * len(lengths)
        return self._codec.decode(windows)


async def answer(scheduler: Scheduler, frames: int, decoded: DecodedAudio) -> None:
    """Decode one answer like the pipeline; playback starts with the first window."""
    spec = scheduler.spec
    codes = np.random.default_rng(frames).integers(0, spec.vocabulary, (frames, 1), dtype=np.int32)
    plan = plan_windows(spec, first_window_s=0.4, overlap_s=0.2, seeded=True)
    schedule = WindowSchedule(plan)
    first_s = 0.0

    def take() -> tuple[Window, CodeWindow]:
        window = schedule.take(frames, ended=True)
        return window, CodeWindow(
            codes[window.start : window.stop], window.start, window.begin - window.start
        )

    while not schedule.finished:
        requested_s = time.monotonic()
        lead_s = schedule.done / spec.frames_per_s - (requested_s - first_s) if first_s else 0.1
        result = await scheduler.decode(take, requested_s + lead_s)
        now_s = time.monotonic()
        first_s = first_s or now_s
        decoded.audio_s += (result.window.end - result.window.begin) / spec.frames_per_s
        lead_s = schedule.done / spec.frames_per_s - (now_s - first_s)
        schedule.update(
            StreamProgress(frames, S_PER_FRAME, 1 / spec.frames_per_s, lead_s, now_s - requested_s)
        )


async def stream(scheduler: Scheduler, number: int, answers: int, decoded: DecodedAudio) -> None:
    """Decode answers one by one; their lengths depend only on `number`."""
    await asyncio.sleep(number * STAGGER_S)
    for frames in np.random.default_rng(number).integers(MIN_FRAMES, MAX_FRAMES, answers):
        await answer(scheduler, int(frames), decoded)


async def audio_per_cpu_s(
    codec: Codec, policy: Policy, limits: BatchLimits, answers: int
) -> dict[str, float]:
    """Return seconds of new audio per CPU-second, the padding share and the frames per call."""
    calls = CountingCodec(codec)
    decoded = DecodedAudio()
    scheduler = Scheduler([calls], make_queue(policy, limits))
    scheduler.start()
    started_s = time.process_time()
    await asyncio.gather(
        *(stream(scheduler, number, answers, decoded) for number in range(STREAMS))
    )
    used_s = time.process_time() - started_s
    await scheduler.close()
    return {
        "sound_s_per_cpu_s": decoded.audio_s / used_s,
        "padding": calls.padded_frames / calls.frames - 1,
        "frames_a_call": calls.frames / calls.calls,
    }


def measure(name: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Run every queue in every round; compute ratios within a round."""
    codec = load_codec(CodecOptions(name, "random", left_context_s=0.5), "cpu")
    info = CODECS[name]
    batch_frames = arguments.batch_frames or info.cpu_batch_frames
    unlimited_padding = BatchLimits(32, batch_frames)
    cases: dict[str, tuple[Policy, BatchLimits]] = {
        "as served": (
            "deadline",
            BatchLimits(32, batch_frames, call_overhead_frames=info.cpu_overhead_frames),
        ),
        "any lengths": ("deadline", unlimited_padding),
        "exact lengths": ("exact length", unlimited_padding),
        BASE: (BASE, unlimited_padding),
    }
    rounds = [
        {
            case: uvloop.run(audio_per_cpu_s(codec, policy, limits, ANSWERS[name]))
            for case, (policy, limits) in cases.items()
        }
        for _ in range(arguments.rounds)
    ]
    result: dict[str, object] = {
        "batch_frames": batch_frames,
        "call_frames": info.cpu_overhead_frames,
        "largest_window_frames": codec.spec.max_window_frames,
    }
    for case in cases:
        ratios = [row[case]["sound_s_per_cpu_s"] / row[BASE]["sound_s_per_cpu_s"] for row in rounds]
        result[case] = {
            "ratio_to_one_by_one": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
            **{
                key: round(statistics.median(row[case][key] for row in rounds), 2)
                for key in rounds[0][case]
            },
        }
    return result


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codecs", nargs="+", default=MEASURED, choices=MEASURED)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--batch-frames", type=int, help="MAX_BATCH_FRAMES; default: that of the service"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.codecs:
        load_shape: dict[str, object] = {
            "streams": STREAMS,
            "rounds": arguments.rounds,
            "left_context_s": 0.5,
        }
        write_result(f"batching-{name}-cpu", load_shape | measure(name, arguments))


if __name__ == "__main__":
    main()
