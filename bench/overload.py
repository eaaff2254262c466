"""Overload of the decode device, with and without admission control: `python -m bench.overload`.

The service runs in this process, with a fake codec that sustains about 8 listeners. A fake engine
in a second process generates each answer at eight times real time. The load generator in a third
process sends requests at random times, ten times as many as the codec sustains, and evaluates
playback in real time. The result is written to bench/results/overload.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import uvloop

from app.config.settings import Settings
from bench.cost import SPEC, CallCost, StubCodec
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.running_service import serving
from bench.traffic import Traffic, complete
from stress_test.figures import count_errors
from stress_test.load import Load
from stress_test.outcome import Completed, Outcome
from stress_test.percentile import percentile
from stress_test.processes import run
from stress_test.report import REFUSED

COST = CallCost(launch_s=0.004, frame_s=1 / 600)
# A call with one window takes at most 0.1 s.
SHORT = replace(SPEC, left_context_frames=10, max_window_frames=64)
SUSTAINED_LISTENERS = 8  # each listener needs about 75 frames per second, including context
MEAN_ANSWER_S = 4.9


@dataclass(frozen=True, slots=True)
class Overload:
    """Outcome of the overload, and of one request after it."""

    outcomes: Sequence[Outcome]
    after: Outcome

    def row(self) -> dict[str, object]:
        """Return the fields of the result."""
        good = [outcome for outcome in self.outcomes if isinstance(outcome, Completed)]
        rejected_ms = [
            outcome.latency_s * 1000
            for outcome in self.outcomes
            if not isinstance(outcome, Completed) and outcome.error.startswith(REFUSED)
        ]
        first_ms = [outcome.first_audio_s * 1000 for outcome in good]
        rtf = [outcome.real_time_factor for outcome in good]
        after = self.after
        next_s = after.first_audio_s if isinstance(after, Completed) else after.latency_s
        return {
            "requests": len(self.outcomes),
            "answered": len(good),
            "failures": count_errors(self.outcomes),
            "answers_with_a_gap": sum(outcome.underruns > 0 for outcome in good),
            "silence_s": round(sum(outcome.underrun_s for outcome in good), 2),
            "audio_s": round(sum(outcome.audio_s for outcome in good), 1),
            "first_audio_ms_p50": round(percentile(first_ms, 50)),
            "first_audio_ms_p99": round(percentile(first_ms, 99)),
            "rtf_p99": round(percentile(rtf, 99), 3),
            "refused_ms_p50": round(percentile(rejected_ms, 50), 1) if rejected_ms else None,
            "refused_ms_p99": round(percentile(rejected_ms, 99), 1) if rejected_ms else None,
            "next_first_audio_ms": round(next_s * 1000),
        }


async def overload(
    engine_url: str, *, utilisation: float, wait_s: float, seconds: float, factor: float
) -> Overload:
    """Run a light load of three listeners, then the overload."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        engine_urls=engine_url,
        max_concurrent_requests=1_000,
        max_batch_frames=96,  # calls of this codec gain nothing from larger batches
        max_decode_load=utilisation,
        admission_wait_s=wait_s,
        log_level="error",
    )
    async with serving(settings, StubCodec(COST, SHORT)) as url:
        await run(Traffic(1.0, 4.0, streams=3).load(url), separate=True)
        rate = factor * SUSTAINED_LISTENERS / MEAN_ANSWER_S
        load = Traffic(0.0, seconds, rate=rate).load(url)
        done = await run(load, separate=True)
        one = Load(url, ("And now?",), response_format="pcm", concurrency=1, requests=1)
        after = await run(replace(one, request_fields=({"max_tokens": 50},)))
        return Overload(list(complete(load, done.outcomes)), after.outcomes[0])


def measure(
    utilisations: Sequence[float], waits_s: Sequence[float], seconds: float, factor: float
) -> dict[str, object]:
    """Run one overload for each combination of settings."""
    rows: dict[str, object] = {
        "seconds": seconds,
        "times_as_many_as_carried": factor,
        "carries": SUSTAINED_LISTENERS,
    }
    with paced_engine("--tokens-per-s", "400") as url:
        for utilisation, wait_s in product(utilisations, waits_s):
            if wait_s and not utilisation:
                continue  # without admission control no request waits
            load = overload(
                url, utilisation=utilisation, wait_s=wait_s, seconds=seconds, factor=factor
            )
            outcome = uvloop.run(load)
            name = f"admission_utilisation_{utilisation}" + (
                f"_wait_{wait_s:g}_s" if wait_s else ""
            )
            rows[name] = outcome.row()
            print(name, outcome.row(), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument(
        "--factor", type=float, default=10.0, help="load as a multiple of what the device sustains"
    )
    parser.add_argument(
        "--utilisation", type=float, nargs="+", default=[0.8, 0.0], help="MAX_DECODE_LOAD"
    )
    parser.add_argument(
        "--wait", type=float, nargs="+", default=[0.0, 3.0], help="ADMISSION_WAIT_S"
    )
    arguments = parser.parse_args()
    result = measure(arguments.utilisation, arguments.wait, arguments.seconds, arguments.factor)
    write_result("overload", result)


if __name__ == "__main__":
    main()
