"""Underruns with and without longer windows under load: `python -m bench.window_growth`.

The device is simulated: a call sleeps for the modelled time of a T4. Streams play answers of 4 to
12 s in real time, whose codes arrive at a fixed multiple of real time. With a slow engine a stream
without a seed has windows of 0.4 s, each with 3 s of context, unless it takes more codes that have
arrived while its window waited for the device. The same streams run with and without that. Takes
two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from dataclasses import dataclass, field

import numpy as np
import uvloop

from app.codec import CodeWindow
from app.codec.graph_grid import ROW_STEPS
from app.decode.call_cost import limit_gpu_calls
from app.decode.load_estimate import CallCost as MeasuredCost
from app.decode.queue import BatchLimits, DeadlineQueue
from app.decode.scheduler import Scheduler
from app.tokens.windows import StreamProgress, Window, WindowSchedule, plan_windows
from bench.cost import SPEC, CallCost, StubCodec
from bench.machine import write_result

# Modelled, not measured: 0.26 s for 32 windows of 384 frames.
T4 = CallCost(0.0028, 21e-6, ROW_STEPS, (32, 64, 96, 128, 192, 256, 384))
LOADS = ((60, 1.3), (120, 1.3), (160, 1.3), (160, 1.8), (300, 3.0))  # streams, speed of the engine
ANSWER_FRAMES = (200, 600)
MAX_WINDOWS = 32  # MAX_BATCH_SIZE
MAX_FRAMES = 600
CODES = np.zeros((MAX_FRAMES, 1), np.int32)


@dataclass(slots=True)
class Playback:
    """Audio of all streams, in seconds, and its gaps."""

    audio_s: float = 0.0
    windows: int = 0
    gaps: int = 0
    silence_s: float = 0.0
    first_s: list[float] = field(default_factory=list[float])  # from the first window's codes


@dataclass(slots=True)
class Answer:
    """One answer, whose codes arrive at `speed` times real time from `begun_s`."""

    scheduler: Scheduler
    playback: Playback
    frames: int
    speed: float
    by_load: bool
    schedule: WindowSchedule
    begun_s: float

    @property
    def arrived(self) -> int:
        """Frames that have arrived."""
        return min(self.frames, int((time.monotonic() - self.begun_s) * self.frames_per_s))

    @property
    def frames_per_s(self) -> float:
        """Frames that arrive in a second."""
        return SPEC.frames_per_s * self.speed

    def take(self) -> tuple[Window, CodeWindow]:
        """Choose a window on the decode thread, as `app.synthesis.window_decoder` does."""
        arrived = self.arrived
        under_load = self.by_load and self.scheduler.waiting > 1
        window = self.schedule.take(arrived, ended=arrived == self.frames, under_load=under_load)
        codes = CODES[window.start : window.stop]
        return window, CodeWindow(codes, window.start, window.begin - window.start)

    async def play(self) -> None:
        """Decode the answer and play it to the end."""
        playback, played_until_s = self.playback, 0.0
        while not self.schedule.finished:
            needed_s = min(self.frames, self.schedule.frames_needed) / self.frames_per_s
            await asyncio.sleep(max(0.0, self.begun_s + needed_s + 1e-3 - time.monotonic()))
            requested_s = time.monotonic()
            result = await self.scheduler.decode(self.take, played_until_s or requested_s + 0.1)
            now_s = time.monotonic()
            if not played_until_s:
                playback.first_s.append(now_s - requested_s)
            elif now_s > played_until_s:
                playback.gaps += 1
                playback.silence_s += now_s - played_until_s
            new_s = (result.window.end - result.window.begin) / SPEC.frames_per_s
            played_until_s = max(played_until_s, now_s) + new_s
            playback.audio_s += new_s
            playback.windows += 1
            self.schedule.update(
                StreamProgress(
                    self.arrived,
                    s_per_frame=1 / self.frames_per_s,
                    frame_s=1 / SPEC.frames_per_s,
                    lead_s=played_until_s - now_s,
                    decode_s=now_s - requested_s,
                )
            )
        await asyncio.sleep(max(0.0, played_until_s - time.monotonic()))


async def stream(
    scheduler: Scheduler, number: int, speed: float, playback: Playback, *, by_load: bool
) -> None:
    """Play answers without end; their lengths depend only on `number`."""
    lengths = random.Random(number)
    plan = plan_windows(SPEC, first_window_s=0.4, overlap_s=0.2)
    await asyncio.sleep(lengths.random() * MAX_FRAMES / SPEC.frames_per_s / 3)
    while True:
        frames = lengths.randint(*ANSWER_FRAMES)
        schedule = WindowSchedule(plan)
        await Answer(scheduler, playback, frames, speed, by_load, schedule, time.monotonic()).play()


async def measure(streams: int, speed: float, seconds: float, *, by_load: bool) -> dict[str, float]:
    """Run the streams on a device of their own; return the figures of their playback."""
    codec, playback = StubCodec(T4), Playback()
    limits = limit_gpu_calls(
        BatchLimits(MAX_WINDOWS, frame_steps=T4.frame_steps),
        MeasuredCost(T4.launch_s / T4.frame_s, T4.frame_s),
        SPEC,
    )
    scheduler = Scheduler([codec], DeadlineQueue(limits), limits=limits)
    scheduler.start()
    running = [
        asyncio.create_task(stream(scheduler, number, speed, playback, by_load=by_load))
        for number in range(streams)
    ]
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await scheduler.close()
    return {
        "audio_s_per_s": round(playback.audio_s / seconds, 1),
        "device_busy": round(codec.busy_s / seconds, 2),
        "frames_per_window": round(playback.audio_s * SPEC.frames_per_s / playback.windows, 1),
        "gaps": playback.gaps,
        "silence_s": round(playback.silence_s, 1),
        "first_window_ms_p50": round(1000 * float(np.median(playback.first_s))),
        "first_window_ms_p95": round(1000 * float(np.percentile(playback.first_s, 95))),
    }


def compare(streams: int, speed: float, seconds: float) -> dict[str, object]:
    """Measure the streams with fixed windows, then with longer ones under load."""
    fixed, by_load = (
        uvloop.run(measure(streams, speed, seconds, by_load=by_load)) for by_load in (False, True)
    )
    result: dict[str, object] = {"streams": streams, "engine_speed": speed}
    result |= {"fixed": fixed, "by_load": by_load}
    print(result, file=sys.stderr, flush=True)
    return result


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=16.0, help="duration of a measurement")
    arguments = parser.parse_args()
    write_result(
        "window-growth-simulated",
        {
            "device": "simulated: sleeps for the modelled time of a T4",
            "seconds": arguments.seconds,
            "loads": [compare(streams, speed, arguments.seconds) for streams, speed in LOADS],
        },
    )


if __name__ == "__main__":
    main()
