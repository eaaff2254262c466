"""Measurement of a decode call's cost at startup, with the other cores busy as under load."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from app.codec import Codec, CodeWindow, OutOfMemory, submit
from app.codec.spec import CodecSpec
from app.cpu_contention import busy_cores
from app.decode.load_estimate import CallCost
from app.decode.queue import BatchLimits

log = logging.getLogger(__name__)

TIMED_CALLS = 3  # calls of each size; the shortest time counts
# Factor on the cost per frame on a CPU, where under load more threads than cores are busy.
UNDER_LOAD = 1.3
CPU_FRAMES = 256  # frames of the larger call on a CPU, where a frame costs the same in every call
# Longest call on a GPU, in seconds. The first window of a stream waits for the call before it.
GPU_CALL_S = 0.1


def measure_call_cost(
    codecs: Sequence[Codec],
    limits: BatchLimits,
    first_frames: int,
    other_cores: int | None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> CallCost | None:
    """Time calls of one small window and of a large batch on every device; the slowest counts.

    A call ends when its batch is decoded; the conversion of the samples is not included. The first
    window of a stream has `first_frames`. On a CPU `other_cores` is the number of cores beside the
    decoding one, which are kept busy meanwhile; None for other devices.

    Blocks for about 0.3 s with the built-in codec on a CPU. Returns None if a device has no memory
    for the batch; it then gets smaller batches, whose cost is observed.
    """
    spec = codecs[0].spec
    frames = min(spec.max_window_frames, limits.padded_frames or spec.max_window_frames)
    rows = max(1, min(limits.windows, (limits.padded_frames or limits.windows * frames) // frames))
    if other_cores is not None:
        frames, rows = min(frames, CPU_FRAMES), 1
    small, large = [_window(spec, first_frames)], [_window(spec, frames)] * rows
    try:
        with busy_cores(other_cores or 0):
            small_s = max(_shortest_call_s(codec, small, clock) for codec in codecs)
            large_s = max(_shortest_call_s(codec, large, clock) for codec in codecs)
    except OutOfMemory as exc:
        log.warning("the cost of a decode call was not measured: %s", exc)
        return None
    small_frames = limits.padded_length(first_frames)
    large_frames = rows * limits.padded_length(frames)
    s_per_frame = (large_s - small_s) / max(1, large_frames - small_frames)
    if s_per_frame <= 0:
        return CallCost(None, large_s)
    overhead_frames = max(0.0, small_s / s_per_frame - small_frames)
    if other_cores is not None:
        s_per_frame *= UNDER_LOAD
    log.info(
        "a decode call costs %.1f ms, and %.3f ms a frame",
        overhead_frames * s_per_frame * 1e3,
        s_per_frame * 1e3,
    )
    return CallCost(overhead_frames, s_per_frame)


def limit_gpu_calls(limits: BatchLimits, cost: CallCost, spec: CodecSpec) -> BatchLimits:
    """Return limits that suit the cost of a call on a GPU.

    A call lasts at most GPU_CALL_S or holds one window, unless `padded_frames` is set.
    `call_overhead_frames` stays unset for a seamless codec: leaving a window for a later call
    shortens it, because its frames are chosen before all of them have arrived.
    """
    if cost.overhead_frames is None:
        return limits
    if limits.padded_frames is None:
        frames = int(GPU_CALL_S / cost.s_per_frame - cost.overhead_frames)
        limits = replace(limits, padded_frames=max(spec.max_window_frames, frames))
    if not spec.seamless:
        limits = replace(limits, call_overhead_frames=round(cost.overhead_frames))
    return limits


def _window(spec: CodecSpec, frames: int) -> CodeWindow:
    """Return a window of random valid codes, the same in every run."""
    codes = np.random.default_rng(0).integers(
        0, spec.vocabulary, (frames, spec.codes_per_frame), np.int32
    )
    return CodeWindow(codes)


def _shortest_call_s(
    codec: Codec, windows: Sequence[CodeWindow], clock: Callable[[], float]
) -> float:
    durations_s: list[float] = []
    for _ in range(TIMED_CALLS):
        started_s = clock()
        decoding = submit(codec, windows)
        decoding.wait()
        durations_s.append(clock() - started_s)
        decoding.samples()
    return min(durations_s)
