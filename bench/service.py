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
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np

from bench.heard import BYTES_PER_S
from bench.machine import write_result
from stress_test.service import Service, started

ROOT = Path(__file__).parent.parent
SENTENCES = 50
STREAMS = (1, 4, 6, 8)


@dataclass(frozen=True, slots=True)
class Answer:
    """One streamed answer as its client saw it."""

    first_audio_s: float
    total_s: float
    audio_s: float

    @property
    def rtf(self) -> float:
        """Wall-clock seconds per second of audio."""
        return self.total_s / self.audio_s


async def listen(client: httpx.AsyncClient, text: str) -> Answer:
    """Ask for one text as pcm, and time its first and its last byte."""
    begun_s, first_s, received = time.perf_counter(), 0.0, 0
    body = {"input": text, "response_format": "pcm"}
    async with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        answer.raise_for_status()
        async for chunk in answer.aiter_raw():
            first_s = first_s or time.perf_counter() - begun_s
            received += len(chunk)
    return Answer(first_s, time.perf_counter() - begun_s, received / BYTES_PER_S)


async def at_once(client: httpx.AsyncClient, texts: Sequence[str], streams: int) -> list[Answer]:
    """Ask for all texts, so many at a time."""
    answers: list[Answer] = []
    for start in range(0, len(texts) - streams + 1, streams):
        answers += await asyncio.gather(
            *(listen(client, text) for text in texts[start : start + streams])
        )
    return answers


def summary(answers: Sequence[Answer]) -> dict[str, float]:
    """Return medians and maxima."""
    first_ms = np.array([answer.first_audio_s for answer in answers]) * 1000
    rtf = np.array([answer.rtf for answer in answers])
    return {
        "answers": len(answers),
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
    begun_s = time.perf_counter()
    async with (
        started(LOG_LEVEL="warning") as service,
        httpx.AsyncClient(base_url=service.url, timeout=60, trust_env=False) as client,
    ):
        ready_s = time.perf_counter() - begun_s
        idle = memory_mb(service)
        first = await listen(client, texts[0])
        return {
            "start_to_ready_s": round(ready_s, 2),
            "memory_at_ready": idle,
            "very_first_answer": {key: round(value, 4) for key, value in asdict(first).items()},
            **{
                f"streams_{count}": summary(await at_once(client, texts, count))
                for count in STREAMS
            },
            "memory_after": memory_mb(service),
        }


def main() -> None:
    """Measure and write the result."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_result("service", asyncio.run(measure()))


if __name__ == "__main__":
    main()
