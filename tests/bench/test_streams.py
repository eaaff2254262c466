from __future__ import annotations

import pytest

from bench.streams import STAGGER_S, listeners, summary
from tests.stress_test.outcomes import completed


def test_summary_counts_answers_and_underruns_apart() -> None:
    good = completed(first_audio_s=0.2, latency_s=0.2, audio_s=4.0)
    bad = completed(first_audio_s=0.6, latency_s=4.0, audio_s=4.0, underruns=2, underrun_s=1.4)
    row = summary([good, bad])
    assert (row["answers"], row["answers_with_an_underrun"], row["underruns"]) == (2, 1, 2)
    assert row["first_audio_ms_p50"] == pytest.approx(400)
    assert row["first_audio_ms_max"] == pytest.approx(600)
    assert row["rtf_max"] == pytest.approx(1.0)
    assert row["silent_s"] == pytest.approx(1.4)


def test_listeners_begin_one_after_the_other_and_each_plays_its_answers() -> None:
    load = listeners("", 3, 2)
    assert load.client_starts_s == pytest.approx([0.0, STAGGER_S, 2 * STAGGER_S])
    assert (load.request_count, load.listening) == (6, True)
