"""The report's wording and figures, and the client against a server on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import subprocess
import sys
import wave
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import numpy as np
import pytest

from stress_test.client import Failed, Outcome, Spoken, duration_s, load
from stress_test.report import Spread, report

ROOT = Path(__file__).parents[2]
EXPECTED = """\
=== SLO LATENCY REPORT ===
Total Requests: 4
Min Time: 1.000s
Max Time: 4.000s
Avg Time: 2.500s
P50 (Median): 2.500s
P90: 3.700s
P95: 3.850s
P99: 3.970s

=== AUDIO & REAL-TIME FACTOR (RTF) REPORT ===
Avg Audio Duration: 5.000s

--- RTF Percentiles ---
Min RTF: 0.200s
Max RTF: 0.800s
Avg RTF: 0.500
P50 RTF: 0.500
P90 RTF: 0.740
P95 RTF: 0.770
P99 RTF: 0.794
=========================="""


def wav(seconds: float, rate_hz: int = 24_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(bytes(2 * int(seconds * rate_hz)))
    return file.getvalue()


def http(body: bytes, *, status: str = "200 OK", declared: int | None = None) -> bytes:
    length = len(body) if declared is None else declared
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + body


@contextlib.asynccontextmanager
async def server(answers: Sequence[bytes]) -> AsyncGenerator[str]:
    """Answers the k-th connection with the k-th of the given bytes, then closes it."""
    waiting = iter(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.write(next(waiting))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def test_the_report_is_word_for_word() -> None:
    outcomes: list[Outcome] = [Spoken(latency_s, 5.0) for latency_s in (3.0, 1.0, 4.0, 2.0)]
    assert report(outcomes) == EXPECTED


def test_failures_are_counted_and_never_averaged() -> None:
    text = report([Spoken(2.0, 4.0), Failed("status 502"), Failed("status 502"), Failed("ReadTimeout")])
    assert "Total Requests: 4\nMin Time: 2.000s" in text
    assert text.endswith("==========================\n\nFailed Requests: 3\n  status 502: 2\n  ReadTimeout: 1")


def test_nothing_but_failures_has_no_figures() -> None:
    assert "Time" not in report([Failed("ConnectError")])
    assert "Failed Requests: 1" in report([Failed("ConnectError")])


def test_percentiles_interpolate() -> None:
    assert Spread.of([float(value) for value in range(101)]) == Spread(0, 100, 50, 50, 90, 95, 99)


@pytest.mark.parametrize(
    ("body", "expected_s"),
    [
        (wav(1.5), 1.5),
        (wav(0.25, 8_000), 0.25),
        (wav(1.0)[:-24_000], 0.5),
        (b"", 0.0),
        (b"RIFF", 0.0),
        (b"<html>", 0.0),
    ],
)
def test_duration_is_of_the_bytes_that_came(body: bytes, expected_s: float) -> None:
    assert duration_s(body) == pytest.approx(expected_s)


def test_a_streamed_header_does_not_lengthen_the_audio() -> None:
    unknown = np.array([0xFFFFFFFF], "<u4").tobytes()
    streamed = wav(0.5)
    assert duration_s(streamed[:4] + unknown + streamed[8:40] + unknown + streamed[44:]) == pytest.approx(0.5)


async def test_the_client_tells_speech_from_failure() -> None:
    answers = [
        http(wav(1.0)),  # the warm-up's
        http(wav(2.0)),
        http(b'{"error": {}}', status="502 Bad Gateway"),
        http(wav(1.0)[:1000], declared=48_044),
        http(wav(0.0)),
    ]
    async with server(answers) as url:
        outcomes = await load(url + "/v1/audio/speech", concurrency=4, warmup_count=1)
    assert [round(o.audio_s, 3) for o in outcomes if isinstance(o, Spoken)] == [2.0]
    reasons = sorted(outcome.reason for outcome in outcomes if isinstance(outcome, Failed))
    assert reasons == ["RemoteProtocolError", "no audio", "status 502"]


@pytest.mark.parametrize(("answer", "status"), [(http(wav(1.0)), 0), (http(b"", status="429 Too Many"), 1)])
async def test_the_exit_status_says_whether_all_spoke(answer: bytes, status: int) -> None:
    async with server([answer] * 3) as url:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stress_test"),
            env={**os.environ, "CONCURRENCY": "2", "WARMUP_COUNT": "1", "LOCAL_TTS_API": url},
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        printed, _ = await process.communicate()
    assert process.returncode == status
    assert b"Total Requests: 2" in printed
