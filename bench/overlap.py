"""Throughput with conversion before or during the next decode call: `python -m bench.overlap`.

The device is simulated: a call sleeps for the time that `bench.cost` assumes for an H200. The host
work is real: the scheduler, and the conversion of the samples from int16 to float32. Streams decode
answers of 6 to 24 s, one after the other and as fast as they can, in the largest windows. All codes
of an answer are available at once.

The scheduler starts the next call as soon as the last one is decoded, and converts the samples
meanwhile. It is compared with the same scheduler and a codec whose wait includes the conversion.
Takes two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import uvloop

from app.audio.samples import Samples
from app.codec import BlockingDecoding, CodeWindow, Decoding
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from app.tokens.windows import Window, WindowSchedule, plan_windows
from bench.batching import DecodedAudio
from bench.cost import H200_GRAPHED, SPEC, StubCodec
from bench.machine import write_result

STREAMS = (1, 16, 48, 200)
MAX_WINDOWS = 32  # MAX_BATCH_SIZE
ANSWER_FRAMES = (300, 1_200)
ANSWERS = 50  # different lengths of a stream
INT16_STEPS = np.float32(1 / 16_384)

ChosenWindow = tuple[Window, CodeWindow]


@dataclass(frozen=True, slots=True)
class ConvertedDecoding:
    """A call of the simulated device, whose samples are converted from rows of int16."""

    call: Decoding
    windows: Sequence[CodeWindow]
    rows: np.ndarray[tuple[int, int], np.dtype[np.int16]]

    def wait(self) -> None:
        """Sleep until the call has ended."""
        self.call.wait()

    def samples(self) -> list[Samples]:
        """Convert the new samples of each window."""
        per_frame = SPEC.samples_per_frame
        return [
            np.multiply(
                row[window.context_frames * per_frame : len(window.codes) * per_frame],
                INT16_STEPS,
                dtype=np.float32,
            )
            for row, window in zip(self.rows, self.windows, strict=False)
        ]


class SimulatedDevice(StubCodec):
    """A codec on a simulated device."""

    def __init__(self, *, convert_in_wait: bool) -> None:
        """`convert_in_wait`: convert the samples before the scheduler can start the next call."""
        super().__init__(H200_GRAPHED)
        self._convert_in_wait = convert_in_wait
        shape = MAX_WINDOWS, SPEC.max_window_frames * SPEC.samples_per_frame
        self._rows = np.random.default_rng(0).integers(-4_000, 4_000, shape, np.int16)

    def submit(self, windows: Sequence[CodeWindow]) -> Decoding:
        """Queue a batch on the device."""
        decoding = ConvertedDecoding(super().submit(windows), windows, self._rows)
        if not self._convert_in_wait:
            return decoding

        def wait_and_convert() -> list[Samples]:
            decoding.wait()
            return decoding.samples()

        return BlockingDecoding(wait_and_convert)


async def stream(scheduler: Scheduler, number: int, decoded: DecodedAudio) -> None:
    """Decode answers without end; their lengths depend only on `number`."""
    lengths = np.random.default_rng(number).integers(*ANSWER_FRAMES, ANSWERS)
    plan = plan_windows(SPEC, first_window_s=0.4, overlap_s=0.2, whole=True)
    codes = np.zeros((ANSWER_FRAMES[1], 1), np.int32)
    for frames in itertools.cycle(lengths.tolist()):
        schedule = WindowSchedule(plan)

        def take(frames: int = frames, schedule: WindowSchedule = schedule) -> ChosenWindow:
            window = schedule.take(frames, ended=True)
            context_frames = window.begin - window.start
            return window, CodeWindow(
                codes[window.start : window.stop], window.start, context_frames
            )

        while not schedule.finished:
            result = await scheduler.decode(take, time.monotonic())
            decoded.audio_s += (result.window.end - result.window.begin) / SPEC.frames_per_s


async def measure(streams: int, seconds: float, *, convert_in_wait: bool) -> dict[str, float]:
    """Return seconds of new audio per second, and the share of time that the device is busy."""
    codec = SimulatedDevice(convert_in_wait=convert_in_wait)
    spec = codec.spec
    limits = BatchLimits(MAX_WINDOWS, None, spec.frame_steps, spec.call_overhead_frames)
    scheduler = Scheduler([codec], DeadlineQueue(limits), limits=limits)
    scheduler.start()
    decoded = DecodedAudio()
    running = [asyncio.create_task(stream(scheduler, number, decoded)) for number in range(streams)]
    await asyncio.sleep(seconds / 4)  # until the streams are at different windows
    audio_s, busy_s = decoded.audio_s, codec.busy_s
    started_s = time.monotonic()
    await asyncio.sleep(seconds)
    elapsed_s = time.monotonic() - started_s
    row = {
        "audio_s_per_s": (decoded.audio_s - audio_s) / elapsed_s,
        "device_busy": (codec.busy_s - busy_s) / elapsed_s,
    }
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await scheduler.close()
    return row


def compare(streams: int, rounds: int, seconds: float) -> dict[str, object]:
    """Measure both orders in turn; return the medians and the median ratio within a round."""
    pairs = [
        [
            uvloop.run(measure(streams, seconds, convert_in_wait=convert_in_wait))
            for convert_in_wait in (True, False)
        ]
        for _ in range(rounds)
    ]
    ratios = [during["audio_s_per_s"] / before["audio_s_per_s"] for before, during in pairs]
    result: dict[str, object] = {"streams": streams, "ratio": round(statistics.median(ratios), 3)}
    for name, rows in zip(
        ("before_next_call", "during_next_call"), zip(*pairs, strict=True), strict=True
    ):
        result[name] = {
            key: round(statistics.median(row[key] for row in rows), digits)
            for key, digits in (("audio_s_per_s", 0), ("device_busy", 3))
        }
    print(result, file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="duration of a measurement")
    arguments = parser.parse_args()
    write_result(
        "overlap-simulated",
        {
            "device": "simulated: sleeps as long as bench.cost assumes for an H200",
            "max_windows": MAX_WINDOWS,
            "rounds": arguments.rounds,
            "conversion": [
                compare(streams, arguments.rounds, arguments.seconds)
                for streams in arguments.streams
            ],
        },
    )


if __name__ == "__main__":
    main()
