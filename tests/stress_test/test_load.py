"""Requests of a load, and their times."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stress_test.load import Load

OPEN = Load("http://a", rate=50.0, duration_s=4.0, seed=3)


def test_the_url_may_name_the_route() -> None:
    for url in ("http://a:1/v1/audio/speech", "http://a:1/v1/", "http://a:1/v1", "http://a:1/"):
        assert Load(url).base_url == "http://a:1"
    assert Load("https://a/tts/v1").base_url == "https://a/tts"


def test_a_request_says_only_what_was_chosen() -> None:
    assert Load("").body == {"response_format": "wav", "stream": True}
    assert Load("", voice="lark", speed=1.5, stream=False, response_format="pcm").body == {
        "response_format": "pcm",
        "stream": False,
        "voice": "lark",
        "speed": 1.5,
    }


def test_sentences_are_asked_for_in_turn() -> None:
    requests = list(Load("", texts=("a", "b"), requests=3).request_specs())
    assert [(request.number, request.text) for request in requests] == [
        (0, "a"),
        (1, "b"),
        (2, "a"),
    ]


def test_further_fields_are_sent_in_turn() -> None:
    fields = ({"max_tokens": 1}, {"max_tokens": 2, "temperature": 0.5})
    load = Load("", texts=("a", "b"), requests=3, request_fields=fields)
    assert [request.fields for request in load.request_specs()] == [*fields, fields[0]]
    assert Load.parse(load.dump()) == load
    assert "request_fields" not in load.parameters()


def test_arrivals_are_as_frequent_as_asked_within_the_time_and_follow_the_seed() -> None:
    due_s = [request.due_s or 0.0 for request in OPEN.request_specs()]
    assert due_s == sorted(due_s)
    assert 140 < len(due_s) < 260
    assert 0 <= due_s[0] < due_s[-1] < 4.0
    assert due_s == [request.due_s for request in OPEN.request_specs()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(due_s)]
    assert sum(gap < 0.01 for gap in gaps) > 0.25 * len(
        gaps
    )  # a Poisson process crowds; equal steps would not


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 40), st.booleans())
def test_the_shares_of_several_processes_are_the_load(
    processes: int, count: int, is_open: bool
) -> None:
    rate = 20.0 if is_open else None
    load = Load("", concurrency=count, requests=count, rate=rate, duration_s=2.0, ramp_s=1.0)
    parts = Load(
        "",
        concurrency=count,
        requests=count,
        rate=rate,
        duration_s=2.0,
        ramp_s=1.0,
        processes=processes,
    )
    requests = sorted(
        (request for share in parts.shares() for request in share.request_specs()),
        key=lambda request: request.number,
    )
    assert requests == list(load.request_specs())
    assert len(requests) == load.request_count
    assert (
        sorted(at_s for share in parts.shares() for at_s in share.client_starts_s)
        == load.client_starts_s
    )


def test_a_load_survives_its_journey_and_hides_its_key() -> None:
    load = Load("http://a", texts=("ä", "b"), api_key="secret", processes=2)
    assert Load.parse(load.dump()) == load
    assert "secret" not in repr(load) + str(load.parameters())


@pytest.mark.parametrize(
    ("load", "expected"), [(Load("", requests=7), 7), (Load("", duration_s=1.0), None)]
)
def test_how_many_there_will_be_is_known_or_not(load: Load, expected: int | None) -> None:
    assert load.request_count == expected
