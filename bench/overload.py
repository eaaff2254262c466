"""Overload of the decode device, with and without admission control: `python -m bench.overload`.

The service runs in this process, with a fake codec that sustains about 8 listeners. A fake engine
in a second process generates each answer at eight times real time. The load generator in a third
process sends requests at random times, ten times as many as the codec sustains, and evaluates
playback in real time. The result is written to bench/results/overload.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import aiohttp
import uvloop

from app.settings import Settings
from bench.clients import START_S, apart
from bench.cost import SPEC, CallCost, StubCodec
from bench.heard import Answer, percentile
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.served import serving
from bench.traffic import Traffic

COST = CallCost(launch_s=0.004, frame_s=1 / 600)
SHORT = replace(
    SPEC, left_context_frames=10, max_window_frames=64
)  # a call with one window takes at most 0.1 s
CARRIES = 8  # listeners; each needs about 75 frames per second, including context
MEAN_ANSWER_S = 4.9


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of the overload, and of one request after it."""

    answers: list[Answer]
    next_first_s: float  # time to first audio of the request after the load
    status_after: int  # its HTTP status

    @property
    def admitted(self) -> list[Answer]:
        """Requests that were admitted, successful or not."""
        return [answer for answer in self.answers if answer.failure != "status 429"]

    def row(self) -> dict[str, object]:
        """Return the fields of the result."""
        good = [answer for answer in self.answers if not answer.failure]
        refused_ms = [
            (answer.end_s - answer.asked_s) * 1000
            for answer in self.answers
            if answer not in self.admitted
        ]
        rtf = [(answer.end_s - answer.asked_s) / answer.audio_s for answer in good]
        return {
            "requests": len(self.answers),
            "answered": len(good),
            "failures": dict(Counter(answer.failure for answer in self.answers if answer.failure)),
            "answers_with_a_gap": sum(answer.gaps > 0 for answer in good),
            "silence_s": round(sum(answer.silence_s for answer in good), 2),
            "audio_s": round(sum(answer.audio_s for answer in good), 1),
            "first_audio_ms_p50": round(
                percentile([(each.first_s - each.asked_s) * 1000 for each in good], 50)
            ),
            "first_audio_ms_p99": round(
                percentile([(each.first_s - each.asked_s) * 1000 for each in good], 99)
            ),
            "rtf_p99": round(percentile(rtf, 99), 3),
            "refused_ms_p50": round(percentile(refused_ms, 50), 1) if refused_ms else None,
            "refused_ms_p99": round(percentile(refused_ms, 99), 1) if refused_ms else None,
            "next_first_audio_ms": round(self.next_first_s * 1000),
        }


async def crowd(
    engine_url: str, *, utilisation: float, wait_s: float, seconds: float, factor: float
) -> Outcome:
    """Run a light load of three listeners, then the overload."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        tts_api=engine_url,
        max_concurrent_requests=1_000,
        max_batch_frames=96,  # calls of this codec gain nothing from larger batches
        admission_utilisation=utilisation,
        admission_wait_s=wait_s,
        log_level="error",
    )
    async with serving(settings, StubCodec(COST, SHORT)) as url:
        await apart(Traffic(url, time.monotonic() + START_S, 1.0, 4.0, streams=3))
        rate = factor * CARRIES / MEAN_ANSWER_S
        heard = await apart(Traffic(url, time.monotonic() + START_S, 0.0, seconds, rate=rate))
        async with aiohttp.ClientSession(url) as session:
            asked_s = time.monotonic()
            body = {"input": "And now?", "response_format": "pcm", "max_tokens": 50}
            async with session.post("/v1/audio/speech", json=body) as answer:
                await answer.content.readany()
                return Outcome(heard.answers, time.monotonic() - asked_s, answer.status)


def measure(
    utilisations: Sequence[float], waits_s: Sequence[float], seconds: float, factor: float
) -> dict[str, object]:
    """Run one overload for each combination of settings."""
    rows: dict[str, object] = {
        "seconds": seconds,
        "times_as_many_as_carried": factor,
        "carries": CARRIES,
    }
    with paced_engine("--tokens-per-s", "400") as url:
        for utilisation, wait_s in product(utilisations, waits_s):
            if wait_s and not utilisation:
                continue  # without admission control no request waits
            load = crowd(
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
        "--utilisation", type=float, nargs="+", default=[0.8, 0.0], help="ADMISSION_UTILISATION"
    )
    parser.add_argument(
        "--wait", type=float, nargs="+", default=[0.0, 3.0], help="ADMISSION_WAIT_S"
    )
    arguments = parser.parse_args()
    result = measure(arguments.utilisation, arguments.wait, arguments.seconds, arguments.factor)
    write_result("overload", result)


if __name__ == "__main__":
    main()
