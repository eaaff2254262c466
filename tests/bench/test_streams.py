from __future__ import annotations

import pytest

from bench.heard import BYTES_PER_S, Answer
from bench.streams import summary


def answer(*received: tuple[float, float]) -> Answer:
    """Asked for at 10 s; (time, seconds of sound) as they came."""
    pieces = [(at_s, round(audio_s * BYTES_PER_S)) for at_s, audio_s in received]
    return Answer.of("sentence", 10.0, pieces, round(sum(audio_s for _, audio_s in received) * 50))


def test_summary_counts_answers_and_underruns_apart() -> None:
    row = summary([answer((10.2, 4.0)), answer((10.6, 1.0), (12.0, 1.0), (14.0, 2.0))])
    assert (row["answers"], row["answers_with_an_underrun"], row["underruns"]) == (2, 1, 2)
    assert row["first_audio_ms_p50"] == pytest.approx(400)
    assert row["first_audio_ms_max"] == pytest.approx(600)
    assert row["rtf_max"] == pytest.approx(1.0)
    assert row["silent_s"] == pytest.approx(1.4)
