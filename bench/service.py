"""The service with an embedded engine: startup, memory, time to first audio, real-time factor.

`python -m bench.service` starts `python -m app` in a separate process and requests the sentences of
bench/sentences.txt, one, four, six and eight at a time. The result is written to
bench/results/service.json.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.machine import write_result
from bench.traffic import answers
from stress_test.load import Load
from stress_test.outcome import Completed
from stress_test.service import Service, started

ROOT = Path(__file__).parent.parent
SENTENCES = 50
STREAMS = (1, 4, 6, 8)


async def at_once(load: Load, texts: Sequence[str], streams: int) -> list[Completed]:
    """Request the texts in groups of `streams`; a group starts when the last one has ended."""
    completed: list[Completed] = []
    for start in range(0, len(texts) - streams + 1, streams):
        group = tuple(texts[start : start + streams])
        completed += await answers(
            replace(load, texts=group, concurrency=streams, requests=streams)
        )
    return completed


def summary(completed: Sequence[Completed]) -> dict[str, float]:
    """Return medians and maxima."""
    first_ms = np.array([answer.first_audio_s for answer in completed]) * 1000
    rtf = np.array([answer.real_time_factor for answer in completed])
    return {
        "answers": len(completed),
        "first_audio_ms_p50": round(float(np.median(first_ms)), 1),
        "first_audio_ms_max": round(float(first_ms.max()), 1),
        "rtf_p50": round(float(np.median(rtf)), 4),
        "rtf_max": round(float(rtf.max()), 4),
    }


def memory_mb(service: Service) -> dict[str, float]:
    """Return the current and the peak resident memory from /proc."""
    lines = Path(f"/proc/{service.pid}/status").read_text(encoding="ascii").splitlines()
    kb = {
        line.split(":")[0]: int(line.split()[1])
        for line in lines
        if line.startswith(("VmRSS", "VmHWM"))
    }
    return {"resident_mb": round(kb["VmRSS"] / 1024, 1), "peak_mb": round(kb["VmHWM"] / 1024, 1)}


async def measure() -> dict[str, object]:
    """Start the service and measure it."""
    texts = (ROOT / "bench" / "sentences.txt").read_text(encoding="utf-8").splitlines()[:SENTENCES]
    started_s = time.perf_counter()
    async with started(LOG_LEVEL="warning") as service:
        ready_s = time.perf_counter() - started_s
        idle = memory_mb(service)
        load = Load(service.url, response_format="pcm", timeout_s=60, find_defects=False)
        (first,) = await at_once(load, texts[:1], 1)
        return {
            "start_to_ready_s": round(ready_s, 2),
            "memory_at_ready": idle,
            "very_first_answer": {
                "first_audio_s": round(first.first_audio_s, 4),
                "total_s": round(first.latency_s, 4),
                "audio_s": round(first.audio_s, 4),
            },
            **{f"streams_{count}": summary(await at_once(load, texts, count)) for count in STREAMS},
            "memory_after": memory_mb(service),
        }


def main() -> None:
    """Measure and write the result."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_result("service", asyncio.run(measure()))


if __name__ == "__main__":
    main()
