"""Seeded traffic: the same for every service, and as described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

from bench.traffic import (
    MAX_ANSWER_S,
    MAX_REQUESTS_PER_S,
    MIN_ANSWER_S,
    TOKENS_PER_S,
    Traffic,
    answer_s,
    answers,
    complete,
    word,
)
from bench.trial import word_of
from stress_test.load import Load
from tests.stress_test.outcomes import completed, failed
from tests.stress_test.server import pcm, serving, tone, whole
from text_normaliser import normalise

TRAFFIC = Traffic(warm_s=3.0, counted_s=8.0, streams=4)
URL = "http://127.0.0.1:1"


def tokens_of(fields: Mapping[str, object]) -> int:
    tokens = fields["max_tokens"]
    assert isinstance(tokens, int)
    return tokens


def test_it_survives_json() -> None:
    load = TRAFFIC.load(URL)
    assert Load.parse(load.dump()) == load
    assert load.duration_s == TRAFFIC.length_s == 11.0


def test_the_requests_are_the_same_every_time_and_no_two_are_alike() -> None:
    first, again = (list(islice(TRAFFIC.load(URL).request_specs(), 40)) for _ in range(2))
    assert first == again
    tokens = [tokens_of(ask.fields) for ask in first]
    assert len(set(tokens)) > 20
    assert all(2 * TOKENS_PER_S <= most <= 12 * TOKENS_PER_S for most in tokens)
    assert len({word_of(f"{ask.text}<") for ask in first}) == 40
    elsewhere = replace(TRAFFIC, seed=2).load(URL)
    assert elsewhere.request(0).fields != first[0].fields


def test_there_are_more_texts_than_the_engine_can_answer() -> None:
    assert len(TRAFFIC.load(URL).texts) == MAX_REQUESTS_PER_S * 11


def test_streams_do_not_begin_at_once_but_all_before_anything_counts() -> None:
    begins_s = replace(TRAFFIC, streams=50).load(URL).client_starts_s
    assert len(set(begins_s)) == 50
    assert 0 <= min(begins_s) < max(begins_s) < TRAFFIC.warm_s


def test_arrivals_are_as_many_and_as_irregular_as_a_poisson_process() -> None:
    long = Load(URL, duration_s=1000.0, rate=40.0)
    times_s = [ask.due_s or 0.0 for ask in long.request_specs()]
    assert times_s == [ask.due_s for ask in long.request_specs()] == sorted(times_s)
    assert times_s[0] >= 0
    assert times_s[-1] < 1000
    assert len(times_s) == pytest.approx(40_000, rel=0.02)
    gaps_s = [later - earlier for earlier, later in pairwise(times_s)]
    mean_s = sum(gaps_s) / len(gaps_s)
    deviation_s = (sum((gap_s - mean_s) ** 2 for gap_s in gaps_s) / len(gaps_s)) ** 0.5
    assert deviation_s == pytest.approx(mean_s, rel=0.05)  # an exponential distribution's


def test_answers_are_as_long_as_sentences() -> None:
    rng = np.random.default_rng(1)
    lengths_s = [answer_s(rng) for _ in range(2_000)]
    assert MIN_ANSWER_S <= min(lengths_s) < max(lengths_s) <= MAX_ANSWER_S
    assert sum(lengths_s) / len(lengths_s) == pytest.approx(4.9, abs=0.1)


@pytest.mark.parametrize("number", [0, 7, 199_012, 1_000_000])
def test_the_service_leaves_a_word_as_it_is(number: int) -> None:
    text = f"Your parcel came on 3 May. {word(number)}"
    assert word_of(f"<|im_start|>jenny: {normalise(text)}<|speech_start|>") == word(number)


def test_an_answer_without_its_tokens_has_failed() -> None:
    load = Load(URL, request_fields=({"max_tokens": 100},))
    exact, short, other = completed(audio_s=2.0), completed(audio_s=1.0), failed("timed out")
    kept = complete(load, [exact, short, other])
    assert list(kept) == [exact, failed("too short"), other]
    assert list(complete(Load(URL), [short])) == [short]


async def test_answers_are_those_of_a_load_in_another_process() -> None:
    load = Load("", response_format="pcm", concurrency=2, requests=3, find_defects=False)
    async with serving(whole(pcm(tone(2.0)))) as server:
        full = replace(load, url=server.url, request_fields=({"max_tokens": 100},))
        found = await answers(full, separate=True)
        assert [(answer.number, answer.audio_s) for answer in found] == [(0, 2), (1, 2), (2, 2)]
        assert {answer.steps for answer in found} == {None}
        assert {body["max_tokens"] for body in server.bodies} == {100}
        with pytest.raises(RuntimeError, match="request 0 failed: too short"):
            await answers(replace(full, request_fields=({"max_tokens": 101},)))
