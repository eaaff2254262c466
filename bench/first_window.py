"""Effect of `playback_speed` on the time to first audio: `python -m bench.first_window`.

One listener at a time; the fake engine generates 380 or 100 tokens per second, the fake codec
takes no time.
"""

from __future__ import annotations

import statistics
import time

import aiohttp
import uvloop

from bench.cost import CallCost, StubCodec
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.served import FREE, serving, settings_for

WINDOWS_S = (0.1, 0.2, 0.4, 0.8, 1.6)
TOKENS_PER_S = (380, 100)
ANSWERS = 9


async def first_audio_ms(session: aiohttp.ClientSession, window_s: float) -> float:
    """Return the median time from the request to the first bytes of pcm."""
    body = {
        "input": "Hello there.",
        "response_format": "pcm",
        "max_tokens": 200,
        "playback_speed": window_s,
    }
    times_ms: list[float] = []
    for _ in range(ANSWERS):
        asked_s = time.monotonic()
        async with session.post("/v1/audio/speech", json=body) as answer:
            await answer.content.readany()
            times_ms.append((time.monotonic() - asked_s) * 1000)
            await answer.read()
    return round(statistics.median(times_ms), 1)


async def measure(engine_url: str) -> dict[str, float]:
    """Return the median for each length of the first window, in seconds."""
    settings = settings_for(engine_url, FREE, "cpu", 5)
    async with (
        serving(settings, StubCodec(CallCost(0.0, 0.0))) as url,
        aiohttp.ClientSession(url) as session,
    ):
        await first_audio_ms(session, 0.4)
        return {str(window_s): await first_audio_ms(session, window_s) for window_s in WINDOWS_S}


def main() -> None:
    """Measure and write the result."""
    rows: dict[str, object] = {}
    for tokens_per_s in TOKENS_PER_S:
        with paced_engine("--tokens-per-s", str(tokens_per_s)) as url:
            rows[f"{tokens_per_s} tokens/s"] = uvloop.run(measure(url))
    write_result("first-window", {"first_audio_ms_by_playback_speed": rows})


if __name__ == "__main__":
    main()
