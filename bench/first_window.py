"""Effect of `playback_speed` on the time to first audio: `python -m bench.first_window`.

One listener at a time; the fake engine generates 380 or 100 tokens per second, the fake codec
takes no time.
"""

from __future__ import annotations

import statistics

import uvloop

from bench.cost import CallCost, StubCodec
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.running_service import FREE, serving, settings_for
from bench.traffic import answers
from stress_test.load import Load

WINDOWS_S = (0.1, 0.2, 0.4, 0.8, 1.6)
TOKENS_PER_S = (380, 100)
ANSWERS = 9


async def first_audio_ms(url: str, window_s: float) -> float:
    """Return the median time from the request to the first bytes of pcm."""
    load = Load(
        url,
        texts=("Hello there.",),
        response_format="pcm",
        concurrency=1,
        requests=ANSWERS,
        request_fields=({"max_tokens": 200, "playback_speed": window_s},),
        find_defects=False,
    )
    completed = await answers(load)
    return round(statistics.median(answer.first_audio_s * 1000 for answer in completed), 1)


async def measure(engine_url: str) -> dict[str, float]:
    """Return the median for each length of the first window, in seconds."""
    settings = settings_for(engine_url, FREE, "cpu", 5)
    async with serving(settings, StubCodec(CallCost(0.0, 0.0))) as url:
        await first_audio_ms(url, 0.4)
        return {str(window_s): await first_audio_ms(url, window_s) for window_s in WINDOWS_S}


def main() -> None:
    """Measure and write the result."""
    rows: dict[str, object] = {}
    for tokens_per_s in TOKENS_PER_S:
        with paced_engine("--tokens-per-s", str(tokens_per_s)) as url:
            rows[f"{tokens_per_s} tokens/s"] = uvloop.run(measure(url))
    write_result("first-window", {"first_audio_ms_by_playback_speed": rows})


if __name__ == "__main__":
    main()
