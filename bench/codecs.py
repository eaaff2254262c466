"""Speed of the codecs on one CPU thread: `python -m bench.codecs` (about two minutes).

The weights are random, the architectures are the real ones. The result is audio-seconds per
CPU-second for several batch shapes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from app.codec import Codec, CodeWindow
from app.codec.builtin.load import load_builtin_codec
from app.codec.neucodec.load import load_neucodec
from app.codec.snac import load_snac
from bench.machine import write_result

SHAPES = {
    "neucodec": ((1, 50), (1, 100), (4, 100)),
    "snac": ((1, 11), (1, 32), (4, 32)),
    "builtin": ((1, 63), (4, 200)),
}
ROUNDS = 5


def loaders() -> dict[str, Callable[[], Codec]]:
    """Return a loader for each codec and dtype."""
    loaders_by_name: dict[str, Callable[[], Codec]] = {"builtin float32": load_builtin_codec}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        loaders_by_name[f"neucodec {name}"] = lambda dtype=dtype: load_neucodec(
            "random", device="cpu", dtype=dtype, left_context_frames=50
        )
        loaders_by_name[f"snac {name}"] = lambda dtype=dtype: load_snac(
            "random", device="cpu", dtype=dtype
        )
    return loaders_by_name


def audio_s_per_cpu_s(codec: Codec, rows: int, frames: int) -> float:
    """Return the median of several rounds; context counts as audio."""
    spec = codec.spec
    rng = np.random.default_rng(0)
    windows = [
        CodeWindow(rng.integers(0, spec.vocabulary, (frames, spec.codes_per_frame), dtype=np.int32))
        for _ in range(rows)
    ]
    codec.decode(windows)
    durations_s: list[float] = []
    for _ in range(ROUNDS):
        started_s = time.process_time()
        codec.decode(windows)
        durations_s.append(time.process_time() - started_s)
    return rows * frames / spec.frames_per_s / statistics.median(durations_s)


def main() -> None:
    """Measure each codec and write the result."""
    torch.set_num_threads(1)
    result: dict[str, object] = {
        "threads": 1,
        "unit": "audio-seconds per CPU-second, context included",
    }
    for name, load in loaders().items():
        codec = load()
        shapes = SHAPES[name.split(maxsplit=1)[0]]
        result[name] = {
            f"{rows} x {frames}": round(audio_s_per_cpu_s(codec, rows, frames), 2)
            for rows, frames in shapes
        }
    write_result("codecs", result)


if __name__ == "__main__":
    main()
