"""An engine's standing, second by second."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.standing import Patience, Rank, Standing

PATIENCE = Patience()


def standing(**values: float) -> Standing:
    return Standing(Patience(**values), Random(1))  # type: ignore[arg-type]


def put_out(engine: Standing, now_s: float = 10.0) -> Standing:
    engine.failed(now_s - 1, now_s)
    engine.failed(now_s - 1, now_s)
    assert engine.out
    return engine


def test_a_new_engine_is_asked_at_once_and_tried_all_the_same() -> None:
    engine = standing()
    assert engine.due_s < 0
    assert not engine.proven
    assert engine.rank(0, 0.0) is Rank.GOOD
    engine.answered(1.0)
    assert engine.proven
    assert engine.due_s == 1.0 + PATIENCE.silence_s


def test_an_engine_whose_tokens_tell_is_not_asked() -> None:
    engine = standing()
    engine.answered(1.0)
    engine.token_s = 7.5
    assert engine.due_s == 7.5 + PATIENCE.silence_s


def test_one_failure_is_a_doubt_and_a_good_probe_clears_it() -> None:
    engine = standing()
    engine.failed(0.0, 1.0)
    assert (engine.rank(0, 1.0), engine.out, engine.proven) == (Rank.DOUBTED, False, False)
    assert engine.due_s == 1.0 + PATIENCE.doubt_s
    engine.answered(1.2)
    assert (engine.rank(0, 1.2), engine.proven) == (Rank.GOOD, True)


def test_two_failures_in_a_row_put_it_out_and_one_good_probe_takes_it_back() -> None:
    engine = put_out(standing())
    assert engine.rank(0, 10.0) is Rank.OUT
    assert 10 + PATIENCE.backoff_s / 2 <= engine.due_s <= 10 + PATIENCE.backoff_s
    engine.answered(11.0)
    assert (engine.out, engine.rank(0, 11.0)) == (False, Rank.GOOD)


def test_a_failed_probe_counts_like_a_failed_request() -> None:
    engine = standing()
    engine.failed(0.0, 1.0)
    engine.silent(1.1)
    assert engine.out


def test_failures_with_good_generations_between_them_are_no_row() -> None:
    engine = standing()
    for now_s in range(20):
        engine.failed(now_s, now_s + 0.5)
        engine.served(now_s)
    assert not engine.out
    assert engine.rank(5, 20.0) is Rank.GOOD


def test_on_trial_it_gets_one_request_at_a_time_until_one_has_ended_well() -> None:
    engine = put_out(standing())
    engine.answered(11.0)
    assert [engine.rank(streams, 11.0) for streams in (0, 1, 2)] == [
        Rank.GOOD,
        Rank.DOUBTED,
        Rank.DOUBTED,
    ]
    engine.served(11.0)
    assert engine.rank(2, 12.0) is Rank.GOOD


def test_on_trial_one_failure_is_enough_and_the_wait_doubles_up_to_its_limit() -> None:
    engine = put_out(standing())
    waits_s = [engine.due_s - 10.0]
    for round_s in range(100, 3_000, 100):
        engine.answered(round_s)
        engine.failed(round_s, round_s + 1)
        assert engine.out
        waits_s.append(engine.due_s - round_s - 1)
    for index, wait_s in enumerate(waits_s):
        whole_s = min(PATIENCE.backoff_s * 2**index, PATIENCE.longest_backoff_s)
        assert whole_s / 2 <= wait_s <= whole_s
    engine.answered(5_000.0)
    engine.served(5_000.0)
    put_out(engine, 6_000.0)
    assert engine.due_s <= 6_000 + PATIENCE.backoff_s


def test_failed_probes_alone_double_the_wait_too() -> None:
    engine = put_out(standing())
    for _ in range(2_000):
        engine.silent(engine.due_s)
    before_s = engine.due_s
    engine.silent(before_s)
    assert PATIENCE.longest_backoff_s / 2 <= engine.due_s - before_s <= PATIENCE.longest_backoff_s


def test_what_began_before_it_was_put_out_says_nothing_new() -> None:
    engine = put_out(standing())
    due_s = engine.due_s
    for _ in range(30):
        engine.failed(5.0, 10.5)  # the other streams that broke with it
    assert engine.due_s == due_s
    engine.answered(11.0)
    engine.failed(9.9, 12.0)  # one that has stalled since
    assert not engine.out
    engine.failed(11.5, 12.5)
    assert engine.out


def test_a_request_that_it_serves_although_it_is_out_takes_it_back() -> None:
    engine = put_out(standing())
    engine.served(9.0)  # from before
    assert engine.out
    engine.served(10.5)
    assert engine.rank(3, 11.0) is Rank.GOOD


def test_a_full_engine_comes_after_good_ones_until_its_time_is_over() -> None:
    engine = standing()
    engine.full(5.0)
    assert [engine.rank(0, now_s) for now_s in (4.9, 5.0)] == [Rank.FULL, Rank.GOOD]
    assert not engine.out


def test_an_engine_that_somebody_else_hears_is_not_stalled() -> None:
    engine = standing()
    assert engine.stalls(100.0, 105.0)
    engine.token_s = 102.4  # everybody's last, within a moment of each other
    assert engine.stalls(100.0, 105.0)
    engine.token_s = 102.6
    assert not engine.stalls(100.0, 105.0)


STEPS = st.lists(
    st.sampled_from(["failed", "old", "silent", "answered", "served", "full"]), max_size=40
)


@given(STEPS)
def test_whatever_happens_it_is_asked_again_soon_and_a_good_probe_takes_it_back(
    steps: list[str],
) -> None:
    engine, now_s = standing(), 100.0
    for step in steps:
        now_s += 1
        match step:
            case "failed":
                engine.failed(now_s - 0.5, now_s)
            case "old":
                engine.failed(0.0, now_s)
            case "silent":
                engine.silent(now_s)
            case "answered":
                engine.answered(now_s)
            case "served":
                engine.served(now_s - 0.5)
            case _:
                engine.full(now_s + 3)
        assert engine.due_s <= now_s + PATIENCE.longest_backoff_s
        assert engine.out <= engine.doubted
    engine.answered(now_s)
    assert engine.rank(0, now_s + 3) is Rank.GOOD


@pytest.mark.parametrize("seed", [1, 2])
def test_services_spread_their_questions(seed: int) -> None:
    waits_s = {put_out(Standing(PATIENCE, Random(seed * 100 + index))).due_s for index in range(20)}
    assert len(waits_s) == 20


def test_an_engine_whose_probes_are_good_while_requests_fail_does_not_flap() -> None:
    engine = put_out(standing())
    assert not engine.well
    told = [engine.well]
    for now_s in range(11, 311, 10):  # a request every ten seconds, and a good probe after each
        engine.answered(now_s)
        told.append(engine.well)
        engine.failed(now_s, now_s + 1)
    assert not any(told)
    engine.answered(320.0)
    engine.served(321.0)
    assert engine.well


def test_an_engine_that_was_gone_is_well_with_its_first_good_probe() -> None:
    engine = put_out(standing())
    engine.silent(11.0)
    engine.answered(12.0)
    assert engine.well


def test_an_engine_that_fails_no_more_is_well_again_though_nobody_asks_anything_of_it() -> None:
    engine = put_out(standing())
    engine.answered(10.0 + PATIENCE.trial_s - 0.1)
    assert not engine.well
    engine.answered(10.0 + PATIENCE.trial_s)
    assert engine.well


def test_a_single_failure_is_not_told() -> None:
    engine = standing()
    engine.failed(0.0, 1.0)
    assert engine.well
