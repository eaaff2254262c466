"""Number of listeners without underruns on this CPU: `python -m bench.streams --left 0.5`.

The service decodes with NeuCodec (random weights). A fake engine in a second process generates each
answer at a fixed token rate. The load generator in a third process has N listeners. A listener
plays an answer of ten seconds in real time from its first byte, then requests the next one. An
underrun is a time at which the playback buffer is empty. Results for N = 1, 2, 3, 4 and 6, and for
each `--left`, are written to bench/results/streams-neucodec-cpu.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence

import numpy as np
import uvloop

from app.codec import Codec
from app.config.settings import Settings
from bench.counters import Counters
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.running_service import serving
from bench.traffic import answers
from stress_test.load import Load
from stress_test.outcome import Completed

STREAMS = (1, 2, 3, 4, 6)
TOKENS = 500  # ten seconds
TOKENS_PER_S = 400
STAGGER_S = 0.37  # between the first requests of two listeners


def listeners(url: str, streams: int, per_listener: int) -> Load:
    """Return the load of listeners; together they play `streams` times `per_listener` answers."""
    return Load(
        url,
        texts=("A sentence.",),
        response_format="pcm",
        concurrency=streams,
        listening=True,
        requests=streams * per_listener,
        ramp_s=streams * STAGGER_S,
        request_fields=({"max_tokens": TOKENS},),
        find_defects=False,
    )


def summary(completed: Sequence[Completed]) -> dict[str, float]:
    """Return medians and maxima."""
    first_ms = np.array([answer.first_audio_s for answer in completed]) * 1000
    rtf = np.array([answer.real_time_factor for answer in completed])
    return {
        "answers": len(completed),
        "first_audio_ms_p50": round(float(np.median(first_ms))),
        "first_audio_ms_max": round(float(first_ms.max())),
        "answers_with_an_underrun": sum(answer.underruns > 0 for answer in completed),
        "underruns": sum(answer.underruns for answer in completed),
        "silent_s": round(sum(answer.underrun_s for answer in completed), 2),
        "rtf_p50": round(float(np.median(rtf)), 3),
        "rtf_max": round(float(rtf.max()), 3),
    }


async def measure_listeners(
    settings: Settings, codec: Codec, streams: int, per_listener: int
) -> dict[str, float]:
    """Run listeners in another process; return their figures and the cores that were used."""
    async with serving(settings, codec) as url:
        before = Counters.now()
        completed = await answers(listeners(url, streams, per_listener), separate=True)
        used = Counters.now().since(before)
    cores = used.cpu_s / used.clock_s
    all_cores = used.busy_ticks / os.sysconf("SC_CLK_TCK") / used.clock_s
    row = summary(completed)
    return {**row, "service_cores": round(cores, 2), "other_cores": round(all_cores - cores, 2)}


def load(left_context_s: float, max_window_frames: int | None) -> Codec:
    """Load NeuCodec like the service; `max_window_frames` replaces the codec's own value."""
    from app.codec.load import CodecOptions, load_codec  # noqa: PLC0415  (imports torch)

    codec = load_codec(CodecOptions("neucodec", "random", left_context_s=left_context_s), "cpu")
    if max_window_frames:
        codec.spec = dataclasses.replace(codec.spec, max_window_frames=max_window_frames)  # type: ignore[misc]
    return codec


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Measure every number of listeners with every left context."""
    result: dict[str, object] = {
        "tokens_per_s_and_stream": TOKENS_PER_S,
        "answer_s": TOKENS / 50,
        "workers": arguments.workers,
        "max_batch_frames": arguments.batch_frames,
        "max_window_frames": arguments.window_frames,
        "other_cores": "used by engine, listeners and other processes of the machine",
    }
    with paced_engine("--tokens-per-s", str(TOKENS_PER_S)) as url:
        for left_s in arguments.left:
            codec = load(left_s, arguments.window_frames)
            settings = Settings(
                _env_file=None,  # type: ignore[call-arg]
                engine_urls=url,
                log_level="warning",
                max_decode_load=0,
                decode_workers=arguments.workers,
                max_batch_frames=arguments.batch_frames,
            )
            row: dict[str, object] = {}
            for streams in arguments.streams:
                row[f"streams_{streams}"] = figures = uvloop.run(
                    measure_listeners(settings, codec, streams, arguments.answers)
                )
                print(left_s, streams, figures, file=sys.stderr, flush=True)
                row["most_without_underrun"] = (
                    streams if not figures["underruns"] else row.get("most_without_underrun")
                )
            result[f"left_{left_s}_s"] = row
    return result


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, nargs="+", default=STREAMS)
    parser.add_argument("--answers", type=int, default=1, help="answers per listener")
    parser.add_argument(
        "--left", type=float, nargs="+", default=[0.5, 1.0], help="NEUCODEC_CONTEXT_S"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="DECODE_WORKERS")
    parser.add_argument("--batch-frames", type=int, help="MAX_BATCH_FRAMES")
    parser.add_argument("--window-frames", type=int, help="length of the largest window in frames")
    parser.add_argument(
        "--name", default="streams-neucodec-cpu", help="name of the file in bench/results/"
    )
    arguments = parser.parse_args()
    write_result(arguments.name, measure(arguments))


if __name__ == "__main__":
    main()
