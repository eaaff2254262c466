"""The health of an engine, second by second."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.pool.health import EngineHealth, HealthPolicy, Rank

POLICY = HealthPolicy()


def standing(**values: float) -> EngineHealth:
    return EngineHealth(HealthPolicy(**values), Random(1))  # type: ignore[arg-type]


def put_out(engine: EngineHealth, now_s: float = 10.0) -> EngineHealth:
    engine.on_failure(now_s - 1, now_s)
    engine.on_failure(now_s - 1, now_s)
    assert engine.ejected
    return engine


def test_a_new_engine_is_asked_at_once_and_tried_all_the_same() -> None:
    engine = standing()
    assert engine.due_s < 0
    assert not engine.verified
    assert engine.rank(0, 0.0) is Rank.HEALTHY
    engine.on_probe_succeeded(1.0)
    assert engine.verified
    assert engine.due_s == 1.0 + POLICY.idle_s


def test_an_engine_whose_tokens_tell_is_not_asked() -> None:
    engine = standing()
    engine.on_probe_succeeded(1.0)
    engine.token_s = 7.5
    assert engine.due_s == 7.5 + POLICY.idle_s


def test_one_failure_is_a_doubt_and_a_good_probe_clears_it() -> None:
    engine = standing()
    engine.on_failure(0.0, 1.0)
    assert (engine.rank(0, 1.0), engine.ejected, engine.verified) == (Rank.SUSPECT, False, False)
    assert engine.due_s == 1.0 + POLICY.probe_delay_s
    engine.on_probe_succeeded(1.2)
    assert (engine.rank(0, 1.2), engine.verified) == (Rank.HEALTHY, True)


def test_two_failures_in_a_row_put_it_out_and_one_good_probe_takes_it_back() -> None:
    engine = put_out(standing())
    assert engine.rank(0, 10.0) is Rank.EJECTED
    assert 10 + POLICY.backoff_s / 2 <= engine.due_s <= 10 + POLICY.backoff_s
    engine.on_probe_succeeded(11.0)
    assert (engine.ejected, engine.rank(0, 11.0)) == (False, Rank.HEALTHY)


def test_a_failed_probe_counts_like_a_failed_request() -> None:
    engine = standing()
    engine.on_failure(0.0, 1.0)
    engine.on_probe_failed(1.1)
    assert engine.ejected


def test_failures_with_good_generations_between_them_are_no_row() -> None:
    engine = standing()
    for now_s in range(20):
        engine.on_failure(now_s, now_s + 0.5)
        engine.on_success(now_s)
    assert not engine.ejected
    assert engine.rank(5, 20.0) is Rank.HEALTHY


def test_on_trial_it_gets_one_request_at_a_time_until_one_has_ended_well() -> None:
    engine = put_out(standing())
    engine.on_probe_succeeded(11.0)
    assert [engine.rank(streams, 11.0) for streams in (0, 1, 2)] == [
        Rank.HEALTHY,
        Rank.SUSPECT,
        Rank.SUSPECT,
    ]
    engine.on_success(11.0)
    assert engine.rank(2, 12.0) is Rank.HEALTHY


def test_on_trial_one_failure_is_enough_and_the_wait_doubles_up_to_its_limit() -> None:
    engine = put_out(standing())
    waits_s = [engine.due_s - 10.0]
    for round_s in range(100, 3_000, 100):
        engine.on_probe_succeeded(round_s)
        engine.on_failure(round_s, round_s + 1)
        assert engine.ejected
        waits_s.append(engine.due_s - round_s - 1)
    for index, wait_s in enumerate(waits_s):
        whole_s = min(POLICY.backoff_s * 2**index, POLICY.max_backoff_s)
        assert whole_s / 2 <= wait_s <= whole_s
    engine.on_probe_succeeded(5_000.0)
    engine.on_success(5_000.0)
    put_out(engine, 6_000.0)
    assert engine.due_s <= 6_000 + POLICY.backoff_s


def test_failed_probes_alone_double_the_wait_too() -> None:
    engine = put_out(standing())
    for _ in range(2_000):
        engine.on_probe_failed(engine.due_s)
    before_s = engine.due_s
    engine.on_probe_failed(before_s)
    assert POLICY.max_backoff_s / 2 <= engine.due_s - before_s <= POLICY.max_backoff_s


def test_what_began_before_it_was_put_out_says_nothing_new() -> None:
    engine = put_out(standing())
    due_s = engine.due_s
    for _ in range(30):
        engine.on_failure(5.0, 10.5)  # the other streams that broke with it
    assert engine.due_s == due_s
    engine.on_probe_succeeded(11.0)
    engine.on_failure(9.9, 12.0)  # one that has stalled since
    assert not engine.ejected
    engine.on_failure(11.5, 12.5)
    assert engine.ejected


def test_a_request_that_it_serves_although_it_is_out_takes_it_back() -> None:
    engine = put_out(standing())
    engine.on_success(9.0)  # from before
    assert engine.ejected
    engine.on_success(10.5)
    assert engine.rank(3, 11.0) is Rank.HEALTHY


def test_a_full_engine_comes_after_good_ones_until_its_time_is_over() -> None:
    engine = standing()
    engine.on_overload(5.0)
    assert [engine.rank(0, now_s) for now_s in (4.9, 5.0)] == [Rank.FULL, Rank.HEALTHY]
    assert not engine.ejected


def test_an_engine_that_somebody_else_hears_is_not_stalled() -> None:
    engine = standing()
    assert engine.is_stalled(100.0, 105.0)
    engine.token_s = 102.4  # everybody's last, within a moment of each other
    assert engine.is_stalled(100.0, 105.0)
    engine.token_s = 102.6
    assert not engine.is_stalled(100.0, 105.0)


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
                engine.on_failure(now_s - 0.5, now_s)
            case "old":
                engine.on_failure(0.0, now_s)
            case "silent":
                engine.on_probe_failed(now_s)
            case "answered":
                engine.on_probe_succeeded(now_s)
            case "served":
                engine.on_success(now_s - 0.5)
            case _:
                engine.on_overload(now_s + 3)
        assert engine.due_s <= now_s + POLICY.max_backoff_s
        assert engine.ejected <= engine.suspect
    engine.on_probe_succeeded(now_s)
    assert engine.rank(0, now_s + 3) is Rank.HEALTHY


@pytest.mark.parametrize("seed", [1, 2])
def test_services_spread_their_questions(seed: int) -> None:
    waits_s = {
        put_out(EngineHealth(POLICY, Random(seed * 100 + index))).due_s for index in range(20)
    }
    assert len(waits_s) == 20


def test_an_engine_whose_probes_are_good_while_requests_fail_does_not_flap() -> None:
    engine = put_out(standing())
    assert not engine.healthy
    told = [engine.healthy]
    for now_s in range(11, 311, 10):  # a request every ten seconds, and a good probe after each
        engine.on_probe_succeeded(now_s)
        told.append(engine.healthy)
        engine.on_failure(now_s, now_s + 1)
    assert not any(told)
    engine.on_probe_succeeded(320.0)
    engine.on_success(321.0)
    assert engine.healthy


def test_an_engine_that_was_gone_is_well_with_its_first_good_probe() -> None:
    engine = put_out(standing())
    engine.on_probe_failed(11.0)
    engine.on_probe_succeeded(12.0)
    assert engine.healthy


def test_an_engine_that_fails_no_more_is_well_again_though_nobody_asks_anything_of_it() -> None:
    engine = put_out(standing())
    engine.on_probe_succeeded(10.0 + POLICY.trial_s - 0.1)
    assert not engine.healthy
    engine.on_probe_succeeded(10.0 + POLICY.trial_s)
    assert engine.healthy


def test_a_single_failure_is_not_told() -> None:
    engine = standing()
    engine.on_failure(0.0, 1.0)
    assert engine.healthy
