"""The whole service with a codec on a GPU, behind a fake engine; see `bench.load`."""

from __future__ import annotations

from functools import partial

import uvloop

from app.codec import Codec
from bench.counters import FirstWindows
from bench.gpu.setup import Setup
from bench.gpu.steps import Row, Steps
from bench.paced_engine import paced_engine
from bench.running_service import FREE, Served, cost_of, load_codec, serving, settings_for
from bench.traffic import Traffic
from bench.trial import measure

CLOSED_LOOPS = (1, 16, 100, 200)  # clients that never pause
SESSIONS_PER_S = (20, 40)  # about 100 and 200 listeners: a session plays for 4.9 s on average
STREAM_INTERVAL = 5


def run(steps: Steps, setup: Setup, codec: Codec) -> None:
    """Print a step for each load."""
    warm_s, counted_s = (0.5, 1.0) if setup.host else (2.0, 5.0)
    with paced_engine() as engine_url:
        for streams in (2,) if setup.host else CLOSED_LOOPS:
            traffic = Traffic(warm_s, counted_s, streams=streams)
            row = partial(compare, setup, codec, engine_url, traffic)
            steps.run(f"{streams}_streams", row, needs_s=25)
        for rate in (1,) if setup.host else SESSIONS_PER_S:
            traffic = Traffic(warm_s, counted_s, rate=rate)
            row = partial(measure_one, setup, codec, engine_url, traffic)
            steps.run(f"{rate}_sessions_per_s", row, needs_s=15)


def compare(setup: Setup, codec: Codec, engine_url: str, traffic: Traffic) -> Row:
    """Run a load with the free codec, then with the codec; add the ratio of the throughputs."""
    free = measure_one(setup, load_codec(cost_of(FREE, ""), "cpu"), engine_url, traffic)
    row = measure_one(setup, codec, engine_url, traffic)
    ratio = row["audio_s_per_s"] / free["audio_s_per_s"]  # type: ignore[operator]
    return {
        **row,
        "free_audio_s_per_s": free["audio_s_per_s"],
        "ratio_to_free": round(ratio, 4),
        "believable": row["believable"] and free["believable"],
    }


def measure_one(setup: Setup, codec: Codec, engine_url: str, traffic: Traffic) -> Row:
    """Start the service, run one load on it, and stop it."""
    return uvloop.run(_measure(setup, codec, engine_url, traffic))


async def _measure(setup: Setup, codec: Codec, engine_url: str, traffic: Traffic) -> Row:
    settings = settings_for(engine_url, "neucodec", setup.device, STREAM_INTERVAL)
    windows = FirstWindows()
    with windows.recorded():
        async with serving(settings, codec) as url:
            row = await measure(
                Served(url, codec.spec.name, "deadline"), engine_url, traffic, windows
            )
    return {**row, "ok": row["failures"] == 0}
