"""CPU time of the whole service per token: `python -m bench.whole` (about two minutes).

A fake engine in another process sends 50 streams of 380 tokens per second, with 1 and with 10
tokens per event; the clients run in a third process. The fake codec takes no time. The result is
the CPU time of the service's process per token, and its ratio to a bare aiohttp reader of the same
engine in the same round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import numpy as np
import uvloop

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.spec import CodecSpec
from app.config.settings import Settings
from bench.ingest import Load, bare_aiohttp, us_per_token
from bench.machine import write_result
from bench.paced_engine import paced_engine
from bench.running_service import serving
from bench.traffic import answers
from stress_test.load import Load as ClientLoad

STREAMS, TOKENS_PER_S = 50, 380
SPEC = CodecSpec("free", 24_000, 480, 1, 65_536, 150, 1, seamless=False, max_window_frames=384)


class FreeCodec:
    """Codec with the shape of NeuCodec that returns a hum at no cost.

    It is a synchronous codec, like a codec on a CPU; the service drives a `StubCodec` like a GPU.
    """

    spec = SPEC
    _hum = (0.1 * np.sin(np.arange(SPEC.max_window_frames * SPEC.samples_per_frame) / 20)).astype(
        np.float32
    )

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Return a hum of the right length for each window."""
        return [self._hum[: window.output_frames * SPEC.samples_per_frame] for window in windows]


def clients(url: str, tokens: int) -> ClientLoad:
    """Return the load of STREAMS concurrent requests."""
    return ClientLoad(
        url,
        texts=("A sentence.",),
        response_format="pcm",
        concurrency=STREAMS,
        requests=STREAMS,
        request_fields=({"max_tokens": tokens},),
        find_defects=False,
    )


async def served_us_per_token(engine_url: str, interval: int, tokens: int) -> float:
    """Return the CPU microseconds of the service, which is this process, per token."""
    settings = Settings(
        _env_file=None, engine_urls=engine_url, stream_interval=interval, log_level="warning"
    )  # type: ignore[call-arg]
    async with serving(settings, FreeCodec()) as url:
        started_s = time.process_time()
        await answers(clients(url, tokens), separate=True)
        used_s = time.process_time() - started_s
    return used_s / (STREAMS * tokens) * 1e6


def measure(rounds: int, tokens: int) -> dict[str, object]:
    """Measure service and bare reader with both intervals; compute ratios within a round."""
    result: dict[str, object] = {"streams": STREAMS, "tokens_per_s_and_stream": TOKENS_PER_S}
    with paced_engine("--tokens-per-s", str(TOKENS_PER_S)) as url:
        for interval in (1, 10):
            bare: list[float] = []
            whole: list[float] = []
            for _ in range(rounds):
                bare.append(us_per_token(bare_aiohttp, Load(url, STREAMS, tokens, interval)))
                whole.append(uvloop.run(served_us_per_token(url, interval, tokens)))
                print(
                    interval,
                    round(bare[-1], 2),
                    round(whole[-1], 2),
                    round(whole[-1] / bare[-1], 2),
                    flush=True,
                )
            result[f"tokens_per_event_{interval}"] = {
                "bare_aiohttp_us_per_token": [round(value, 2) for value in bare],
                "service_us_per_token": [round(value, 2) for value in whole],
                "ratio_median": round(
                    statistics.median(w / b for w, b in zip(whole, bare, strict=True)), 2
                ),
                "core_share_at_19000_tokens_per_s": round(
                    statistics.median(whole) * 19_000 / 1e6, 3
                ),
            }
    return result


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=TOKENS_PER_S * 3)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    write_result("whole", measure(arguments.rounds, arguments.tokens))


if __name__ == "__main__":
    main()
