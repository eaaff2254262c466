"""Speech requests, timed from sending to the last byte."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from dataclasses import dataclass

import httpx

PATH = "/v1/audio/speech"
TEXT = "Hello! How can I help you? can I get your passport number sir."
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A request that was answered in full."""

    latency_s: float
    audio_s: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of waiting per second of audio; below 1 is faster than real time."""
        return self.latency_s / self.audio_s


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that was refused, broken off, or answered without sound."""

    reason: str


Outcome = Spoken | Failed


async def load(base_url: str, *, concurrency: int, warmup_count: int, text: str = TEXT) -> list[Outcome]:
    """Send `warmup_count` requests one after the other, then `concurrency` at once; the latter's outcomes.

    `base_url` may end in the speech path. Failures are outcomes, not exceptions.
    """
    limits = httpx.Limits(max_connections=None)
    url = base_url.rstrip("/").removesuffix(PATH)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, trust_env=False) as client:
        for _ in range(warmup_count):
            await speak(client, text)
        return await asyncio.gather(*(speak(client, text) for _ in range(concurrency)))


async def speak(client: httpx.AsyncClient, text: str) -> Outcome:
    """One whole-body WAV request."""
    start_s = time.perf_counter()
    try:
        response = await client.post(PATH, json={"input": text, "response_format": "wav", "stream": False})
    except httpx.HTTPError as exc:
        return Failed(type(exc).__name__)
    latency_s = time.perf_counter() - start_s
    if response.status_code != 200:
        return Failed(f"status {response.status_code}")
    audio_s = duration_s(response.content)
    return Spoken(latency_s, audio_s) if audio_s > 0 else Failed("no audio")


def duration_s(wav: bytes) -> float:
    """Seconds of sound that a WAV file really holds, whatever its header says; 0 if it is not one."""
    try:
        with wave.open(io.BytesIO(wav)) as file:
            frame_bytes = file.getsampwidth() * file.getnchannels()
            return len(file.readframes(file.getnframes())) / frame_bytes / file.getframerate()
    except (wave.Error, EOFError):
        return 0.0
