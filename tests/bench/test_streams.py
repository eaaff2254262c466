from __future__ import annotations

import pytest

from bench.streams import Playback, summary


def playback(*received: tuple[float, float]) -> Playback:
    """Asked for at 10 s; (time, seconds of sound) as they came."""
    made = Playback(asked_s=10.0)
    for now_s, audio_s in received:
        made.receive(now_s, audio_s)
    return made


def test_sound_that_comes_in_time_is_no_underrun() -> None:
    heard = playback((10.5, 1.0), (11.5, 2.0), (13.0, 0.5))
    assert (heard.underruns, heard.silent_s) == (0, 0)
    assert heard.heard_until_s == 14.0


def test_a_listener_waits_through_an_underrun_and_goes_on() -> None:
    heard = playback((10.5, 1.0), (12.0, 1.0), (12.9, 1.0))
    assert (heard.underruns, heard.silent_s) == (1, 0.5)
    assert heard.heard_until_s == 14.0


def test_summary_counts_answers_and_underruns_apart() -> None:
    good, bad = playback((10.2, 4.0)), playback((10.6, 1.0), (12.0, 1.0), (14.0, 2.0))
    row = summary([good, bad])
    assert (row["answers"], row["answers_with_an_underrun"], row["underruns"]) == (2, 1, 2)
    assert row["first_audio_ms_p50"] == pytest.approx(400)
    assert row["first_audio_ms_max"] == pytest.approx(600)
    assert row["rtf_max"] == pytest.approx(1.0)
    assert row["silent_s"] == pytest.approx(1.4)
