"""Playback in real time: an underrun when all audio has been played, and a new start after each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.playback_clock import PlaybackClock
from stress_test.underruns import underruns


def test_nobody_is_dry_before_the_first_sound() -> None:
    assert not PlaybackClock().underrunning(1e9)


@pytest.mark.parametrize(("now_s", "dry"), [(10.0, False), (10.5, False), (10.51, True)])
def test_a_listener_is_dry_when_all_that_was_sent_has_been_heard(now_s: float, dry: bool) -> None:
    playback = PlaybackClock()
    playback.feed(10.0, 10.0, 0.2)
    playback.feed(10.1, 10.1, 0.3)
    assert playback.underrunning(now_s) is dry


def test_after_a_gap_the_listener_begins_anew() -> None:
    playback = PlaybackClock()
    playback.feed(0.0, 0.0, 0.2)
    assert playback.underrunning(5.0)
    playback.feed(5.0, 5.0, 0.2)
    assert not playback.underrunning(5.1)


def test_a_client_that_takes_its_sound_late_does_not_wait_for_it() -> None:
    playback = PlaybackClock()
    playback.feed(0.0, 3.0, 1.0)
    assert not playback.underrunning(9.0)
    playback.feed(9.0, 9.0, 1.0)
    assert playback.underrunning(10.1)


def test_the_lead_is_what_is_left_to_hear() -> None:
    playback = PlaybackClock()
    assert playback.lead_s(9.0) == 0
    playback.feed(10.0, 10.0, 0.5)
    assert playback.lead_s(10.2) == pytest.approx(0.3)
    assert playback.lead_s(11.0) == pytest.approx(-0.5)
    playback.feed(11.0, 11.0, 0.5)
    assert playback.lead_s(11.0) == pytest.approx(0.5)  # the gap is over


def test_a_client_that_was_late_has_what_came_last_still_to_hear() -> None:
    playback = PlaybackClock()
    playback.feed(0.0, 20.0, 1.0)
    assert playback.lead_s(20.0) == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), min_size=1, max_size=30))
def test_it_counts_the_gaps_that_a_client_hears(pieces: list[tuple[int, int]]) -> None:
    playback, chunks, now_s, gaps = PlaybackClock(), [], 0.0, 0
    for waited, length in pieces:
        now_s += waited / 128  # binary fractions: no rounding
        gaps += playback.underrunning(now_s)
        playback.feed(now_s, now_s, length / 128)
        chunks.append((now_s, length))
    assert gaps == underruns(chunks, 128)[0]
