"""Times of calls: on the device, and for the host."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

from app.codec.graphs import GraphedCodec
from bench.decode import overlapped_call_s, time_calls
from bench.gpu.codecs import accelerator_of, random_windows, replay_of
from bench.gpu.setup import Setup
from bench.gpu.steps import Row


def device_ms(setup: Setup, call: Callable[[], object], rounds: int = 20) -> float:
    """Return the median time of a call on the current stream; on a CPU the time of one call."""
    call()
    if setup.host:
        started_s = time.perf_counter()
        call()
        return 1e3 * (time.perf_counter() - started_s)
    taken_ms: list[float] = []
    for _ in range(rounds):
        begin = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        begin.record()
        call()
        end.record()
        end.synchronize()
        taken_ms.append(begin.elapsed_time(end))
    return statistics.median(taken_ms)


def wall_ms(setup: Setup, call: Callable[[], object]) -> float:
    """Return the wall-clock time of one call, until the device is done."""
    started_s = time.perf_counter()
    call()
    if not setup.host:
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - started_s)


def shape_times(setup: Setup, codec: GraphedCodec, shapes: Sequence[tuple[int, int]]) -> Row:
    """Return the times of calls with windows of equal length, by shape `ROWSxFRAMES`.

    `device_ms`: the graph alone. `call_ms`: a call until its samples are returned.
    `overlapped_ms`: a call while another one is in flight. `convert_ms`: conversion of the samples
    on the host after the device is done.
    """
    rows: Row = {}
    for count, frames in shapes:
        windows = random_windows(codec, [frames] * count)
        shape = codec.grid.fit(count, frames)
        assert shape is not None
        with accelerator_of(codec).stream():
            on_device_ms = device_ms(setup, replay_of(codec, shape))
        calls_s = time_calls(lambda windows=windows: codec.decode(windows), 0.15, 3)
        overlapped_ms = 1e3 * overlapped_call_s(codec, windows, 3 if setup.host else 30)
        decoding = codec.submit(windows)
        decoding.wait()
        convert_ms = wall_ms(setup, decoding.samples)
        audio_s = count * frames / codec.spec.frames_per_s
        rows[f"{count}x{frames}"] = {
            "device_ms": round(on_device_ms, 3),
            "call_ms": round(1e3 * statistics.median(calls_s), 3),
            "overlapped_ms": round(overlapped_ms, 3),
            "convert_ms": round(convert_ms, 3),
            "audio_s_per_s": round(1e3 * audio_s / overlapped_ms),
            "device_audio_s_per_s": round(1e3 * audio_s / on_device_ms),
        }
    return rows
