"""Agreement of streamed decoding with one decode of the whole, in decibels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.audio.samples import Samples
from app.audio.stitch import Stitcher
from app.codec import Codec, Codes, CodeWindow
from app.config.settings import Settings
from app.tokens.windows import StreamProgress, WindowSchedule, plan_windows

PACES = (1.2, 4.0, 30.0)  # speeds of the engine relative to real time
DECODE_S = 0.02


def streamed(codec: Codec, codes: Codes, pace: float) -> Samples:
    """Decode codes (frames, 1) in a stream's windows.

    The time of an engine that is `pace` times as fast as real time is simulated.
    """
    spec, defaults = codec.spec, Settings.model_fields
    plan = plan_windows(
        spec,
        first_window_s=defaults["default_first_window_s"].default,
        overlap_s=defaults["default_lookahead_s"].default,
    )
    schedule, stitcher = WindowSchedule(plan), Stitcher(spec.samples_per_frame, 0)
    s_per_frame = 1 / spec.frames_per_s / pace
    blocks: list[Samples] = []
    now_s = first_s = sound_s = 0.0
    while not schedule.finished:
        now_s = max(now_s, s_per_frame * min(schedule.frames_needed, len(codes)))
        arrived = min(len(codes), int(now_s / s_per_frame + 1e-6))
        window = schedule.take(arrived, ended=arrived == len(codes))
        own = codes[window.start : window.stop]
        (decoded,) = codec.decode([CodeWindow(own, window.start, window.begin - window.start)])
        blocks.append(stitcher.feed(window, decoded))
        now_s += DECODE_S
        first_s = first_s or now_s
        sound_s += len(blocks[-1]) / spec.sample_rate_hz
        lead_s = sound_s - (now_s - first_s)
        schedule.update(
            StreamProgress(arrived, s_per_frame, 1 / spec.frames_per_s, lead_s, DECODE_S)
        )
    return np.concatenate(blocks)


def agreement_db(actual: Samples, expected: Samples) -> float:
    """Return the power of `expected` over that of the difference, in dB; 200 if equal."""
    difference = float(np.square(actual - expected, dtype=np.float64).sum())
    power = float(np.square(expected, dtype=np.float64).sum())
    return min(200.0, 10 * np.log10(power / max(difference, 1e-30)))


def compare(codec: Codec, spoken: Sequence[Codes]) -> dict[str, float]:
    """Return the minimum and the median over all sentences and paces."""
    found = [
        agreement_db(streamed(codec, codes, pace), codec.decode([CodeWindow(codes)])[0])
        for codes in spoken
        for pace in PACES
    ]
    return {
        "streams": len(found),
        "db_min": round(min(found), 1),
        "db_median": round(float(np.median(found)), 1),
    }
