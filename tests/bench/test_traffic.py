"""Seeded traffic: the same for every service, and what it is said to be."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise

import pytest

from app.speech.normalise import normalise
from bench.traffic import TOKENS_PER_S, Traffic, word
from bench.trial import word_of

TRAFFIC = Traffic(
    "http://127.0.0.1:1", begin_s=100.0, warm_s=3.0, counted_s=8.0, streams=4, rate=40.0
)


def test_it_survives_json() -> None:
    assert Traffic.load(TRAFFIC.dump()) == TRAFFIC
    assert TRAFFIC.end_s == 111.0


def test_a_stream_asks_the_same_every_time_and_no_two_streams_do() -> None:
    first, again, other = (list(islice(TRAFFIC.asks(stream), 20)) for stream in (0, 0, 1))
    assert first == again
    assert [ask.tokens for ask in first] != [ask.tokens for ask in other]
    assert len({word_of(f"{ask.text}<") for ask in (*first, *other)}) == 40
    assert all(2 * TOKENS_PER_S <= ask.tokens <= 12 * TOKENS_PER_S for ask in first)
    elsewhere = replace(TRAFFIC, seed=2)
    assert next(elsewhere.asks(0)).tokens != first[0].tokens


def test_streams_do_not_begin_at_once_but_all_before_anything_counts() -> None:
    begins_s = [TRAFFIC.stagger_s(stream) for stream in range(50)]
    assert len(set(begins_s)) == 50
    assert 0 <= min(begins_s) < max(begins_s) < TRAFFIC.warm_s


def test_arrivals_are_as_many_and_as_irregular_as_a_poisson_process() -> None:
    long = replace(TRAFFIC, counted_s=997.0)
    times_s = long.arrivals_s()
    assert times_s == long.arrivals_s() == sorted(times_s)
    assert times_s[0] >= 0
    assert times_s[-1] < 1000
    assert len(times_s) == pytest.approx(40_000, rel=0.02)
    gaps_s = [later - earlier for earlier, later in pairwise(times_s)]
    mean_s = sum(gaps_s) / len(gaps_s)
    deviation_s = (sum((gap_s - mean_s) ** 2 for gap_s in gaps_s) / len(gaps_s)) ** 0.5
    assert deviation_s == pytest.approx(mean_s, rel=0.05)  # an exponential distribution's


@pytest.mark.parametrize("number", [0, 7, 199_012, 1_000_000])
def test_the_service_leaves_a_word_as_it_is(number: int) -> None:
    text = f"Your parcel came on 3 May. {word(number)}"
    assert word_of(f"<|im_start|>jenny: {normalise(text)}<|speech_start|>") == word(number)
