"""Speed of one codec on a device: `python -m bench.decode --device cuda --dtype float16`.

The weights are random, the architecture is the real one. The codec is loaded as in the service. For
every shape of a grid the result has milliseconds per call and audio-seconds per second with two
calls in flight. It also has the number of kernels (on a CPU: operations that compute), the
deviation from float32, the memory, and the number of calls that did not fit a CUDA graph. The codec
is compared with itself without graphs, batches of equal lengths, one window per call, and
transformers' implementation if it is installed. Takes under ten minutes on a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from app import metrics
from app.audio.samples import Samples
from app.codec import Codec, CodeWindow, Decoding, OverlappingCodec
from app.codec.load import CodecOptions, load_codec
from bench.machine import write_result
from bench.reference import reference_decode

DTYPES = ("float32", "bfloat16", "float16")
SHAPES = {
    "cuda": tuple(
        (rows, frames) for frames in (32, 64, 128, 256, 384) for rows in (1, 4, 8, 16, 32)
    ),
    "cpu": ((1, 64), (1, 128), (4, 64)),
}
MIXED_ROWS = {"cuda": 32, "cpu": 6}
MIXED_FRAMES = {"cuda": (30, 128), "cpu": (30, 90)}


def random_windows(codec: Codec, lengths: Sequence[int], seed: int = 0) -> list[CodeWindow]:
    """Return windows of random codes without context frames."""
    rng, spec = np.random.default_rng(seed), codec.spec
    return [
        CodeWindow(rng.integers(0, spec.vocabulary, (frames, spec.codes_per_frame), np.int32))
        for frames in lengths
    ]


def time_calls(call: Callable[[], object], min_total_s: float, min_calls: int = 5) -> list[float]:
    """Return the wall-clock seconds of each call, after two warm-up calls."""
    call(), call()
    durations_s: list[float] = []
    while sum(durations_s) < min_total_s or len(durations_s) < min_calls:
        started_s = time.perf_counter()
        call()
        durations_s.append(time.perf_counter() - started_s)
    return durations_s


def overlapped_call_s(codec: Codec, windows: Sequence[CodeWindow], calls: int) -> float:
    """Return the seconds per call if the next one is started before the last one is collected."""
    if not isinstance(codec, OverlappingCodec):
        return statistics.median(time_calls(lambda: codec.decode(windows), 0, calls))
    in_flight: deque[Decoding] = deque([codec.submit(windows)])
    started_s = time.perf_counter()
    for _ in range(calls):
        in_flight.append(codec.submit(windows))
        finish(in_flight.popleft())
    finish(in_flight.popleft())
    return (time.perf_counter() - started_s) / calls


def finish(decoding: Decoding) -> list[Samples]:
    """Wait for a batch and return its samples."""
    decoding.wait()
    return decoding.samples()


def count_kernels(call: Callable[[], object], device: str) -> int:
    """Count the kernels that a call launches or replays; on a CPU the operations except views."""
    activity = ProfilerActivity.CUDA if device == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as seen:
        call()
    if device == "cuda":
        events = [
            event for event in seen.events() if event.device_type == torch.autograd.DeviceType.CUDA
        ]
        return sum(not event.name.startswith(("Memcpy", "Memset")) for event in events)
    counts = Counter(
        event.name
        for event in seen.events()
        if event.name.startswith("aten::") and not event.cpu_children
    )
    views = (
        "view",
        "expand",
        "slice",
        "select",
        "permute",
        "transpose",
        "as_strided",
        "unsqueeze",
        "reshape",
    )
    return sum(
        count for name, count in counts.items() if not name.removeprefix("aten::").startswith(views)
    )


def shape_row(codec: Codec, eager: Codec, rows: int, frames: int, device: str) -> dict[str, float]:
    """Measure one shape with the codec as served and with the eager one."""
    windows = random_windows(codec, [frames] * rows)
    calls = 100 if device == "cuda" else 3
    call_s = statistics.median(time_calls(lambda: codec.decode(windows), 0.2))
    eager_s = statistics.median(time_calls(lambda: eager.decode(windows), 0.2))
    overlapped_s = overlapped_call_s(codec, windows, calls)
    audio_s = rows * frames / codec.spec.frames_per_s
    return {
        "rows": rows,
        "frames": frames,
        "call_ms": round(1e3 * call_s, 3),
        "overlapped_ms": round(1e3 * overlapped_s, 3),
        "audio_s_per_s": round(audio_s / overlapped_s, 1),
        "eager_ms": round(1e3 * eager_s, 3),
        "eager_over_call": round(eager_s / call_s, 2),
    }


def mixed_row(codec: Codec, device: str) -> dict[str, object]:
    """Measure a batch of mixed lengths: one masked call, one call per length, one per window."""
    low, high = MIXED_FRAMES[device]
    lengths = np.random.default_rng(1).integers(low, high + 1, MIXED_ROWS[device]).tolist()
    windows = random_windows(codec, lengths)
    by_length = sorted(windows, key=lambda window: len(window.codes))
    groups = [list(group) for _, group in groupby(by_length, key=lambda window: len(window.codes))]
    alternatives: dict[str, Callable[[], object]] = {
        "one_masked_call": lambda: codec.decode(windows),
        "exact_length_groups": lambda: [codec.decode(group) for group in groups],
        "one_window_a_call": lambda: [codec.decode([window]) for window in windows],
    }
    durations_s = {
        name: statistics.median(time_calls(alternative, 0.3, 3))
        for name, alternative in alternatives.items()
    }
    return {
        "lengths": lengths,
        "calls": {
            "one_masked_call": 1,
            "exact_length_groups": len(groups),
            "one_window_a_call": len(windows),
        },
        "ms": {name: round(1e3 * value, 2) for name, value in durations_s.items()},
        "ratio_to_one_masked_call": {
            name: round(value / durations_s["one_masked_call"], 2)
            for name, value in durations_s.items()
        },
    }


def db(expected: Sequence[Samples], actual: Sequence[Samples]) -> float:
    """Return the lowest signal-to-difference ratio of all windows in dB."""
    pairs = [(each.astype(np.float64), other) for each, other in zip(expected, actual, strict=True)]
    return round(
        min(
            10 * np.log10(np.square(e).sum() / max(np.square(e - a).sum(), 1e-30)) for e, a in pairs
        ),
        1,
    )


def fidelity(codec: Codec, eager: Codec, exact: Codec) -> dict[str, float]:
    """Compare outputs in dB: with float32, without graphs, and batched with single windows."""
    windows = random_windows(codec, [7, 31, 64, 100], seed=2)
    together, wide = codec.decode(windows), exact.decode(windows)
    return {
        "against_float32_eager_db": db(wide, together),
        "graphs_against_eager_db": db(eager.decode(windows), together),
        "batch_against_alone_db": db([codec.decode([window])[0] for window in windows], together),
    }


@contextmanager
def loaded(options: argparse.Namespace, dtype: str, *, graphs: bool) -> Iterator[Codec]:
    """Load a codec for the block; release its memory afterwards."""
    choice = CodecOptions(
        options.codec,
        "random",
        dtype=dtype,  # pyright: ignore[reportArgumentType]
        graph_s=None if graphs else (),
        compiled=options.compile and graphs,
        max_batch=options.max_batch,
    )
    codec = load_codec(choice, options.device)
    yield codec
    del codec
    if options.device == "cuda":
        torch.cuda.empty_cache()


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Measure one codec with one type of arithmetic."""
    device = options.device
    result: dict[str, object] = {"codec": options.codec, "device": device, "dtype": options.dtype}
    result |= {"compiled": options.compile, "weights": "random", "device_name": device_name(device)}
    started_s = time.perf_counter()
    with (
        loaded(options, "float32", graphs=False) as exact,
        loaded(options, options.dtype, graphs=False) as eager,
        loaded(options, options.dtype, graphs=True) as codec,
    ):
        result["load_s"] = round(time.perf_counter() - started_s, 1)
        misses = metrics.GRAPH_MISSES._value.get()  # pyright: ignore[reportPrivateUsage]
        result["fidelity"] = fidelity(codec, eager, exact)
        one = random_windows(codec, [64])
        result["kernels"] = {
            "eager": count_kernels(lambda: eager.decode(one), device),
            "as_served": count_kernels(lambda: codec.decode(one), device),
        }
        shapes = [shape for shape in SHAPES[device] if shape[1] <= codec.spec.max_window_frames]
        result["shapes"] = [
            shape_row(codec, eager, rows, frames, device) for rows, frames in shapes
        ]
        result["mixed_lengths"] = mixed_row(codec, device)
        result["graph_misses"] = metrics.GRAPH_MISSES._value.get() - misses  # pyright: ignore[reportPrivateUsage]
        result["memory_mb"] = memory_mb(device)
        if options.codec == "neucodec":
            result["transformers_eager_float32"] = against_reference(exact, shapes, device)
    return result


def against_reference(exact: Codec, shapes: Sequence[tuple[int, int]], device: str) -> object:
    """Compare with transformers' NeuCodecModel in float32, both eager.

    All windows have the same length, since that model cannot mask.
    """
    reference = reference_decode(device)
    if reference is None:
        return "transformers with NeuCodecModel is not installed"
    rows: list[dict[str, float]] = []
    for count, frames in shapes:
        windows = random_windows(exact, [frames] * count)
        theirs_s = statistics.median(time_calls(lambda windows=windows: reference(windows), 0.2, 3))
        ours_s = statistics.median(
            time_calls(lambda windows=windows: exact.decode(windows), 0.2, 3)
        )
        rows.append({"rows": count, "frames": frames, "theirs_ms": round(1e3 * theirs_s, 2)})
        rows[-1] |= {
            "ours_ms": round(1e3 * ours_s, 2),
            "theirs_over_ours": round(theirs_s / ours_s, 2),
        }
    return rows


def device_name(device: str) -> str:
    """Return the name of the device."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu, one thread"


def memory_mb(device: str) -> dict[str, float]:
    """Return the GPU memory of the three loaded codecs together."""
    if device != "cuda":
        return {}
    return {
        "reserved_with_all_three_codecs": round(torch.cuda.memory_reserved() / 1e6),
        "peak_allocated": round(torch.cuda.max_memory_allocated() / 1e6),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codec", choices=("neucodec", "snac"), default="neucodec")
    parser.add_argument(
        "--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument(
        "--dtype", choices=DTYPES, default=None, help="default: float16 on cuda, bfloat16 on cpu"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the model, like TORCH_COMPILE=true"
    )
    parser.add_argument("--max-batch", type=int, default=32)
    options = parser.parse_args()
    options.dtype = options.dtype or ("float16" if options.device == "cuda" else "bfloat16")
    compiled = "-compiled" if options.compile else ""
    write_result(
        f"decode-{options.codec}-{options.device}-{options.dtype}{compiled}", measure(options)
    )


if __name__ == "__main__":
    main()
