from __future__ import annotations

import pytest

from bench.heard import Answer
from bench.streams import summary


def test_summary_counts_answers_and_underruns_apart() -> None:
    good = Answer("q", 10.0, 10.2, 10.2, 4.0, 0, 0.0)
    bad = Answer("q", 10.0, 10.6, 14.0, 4.0, 2, 1.4)
    row = summary([good, bad])
    assert (row["answers"], row["answers_with_an_underrun"], row["underruns"]) == (2, 1, 2)
    assert row["first_audio_ms_p50"] == pytest.approx(400)
    assert row["first_audio_ms_max"] == pytest.approx(600)
    assert row["rtf_max"] == pytest.approx(1.0)
    assert row["silent_s"] == pytest.approx(1.4)
