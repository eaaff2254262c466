"""The token pace of the paced engine, on a fake clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.token_pace import MAX_CATCH_UP_S, Pace, Timetable

PACE = Pace(step_s=0.002, stream_s=0.00005)


def test_a_step_is_longer_the_more_streams_share_it() -> None:
    assert PACE.of(0) == 0.002
    assert PACE.of(100) == pytest.approx(0.007)


def test_steps_on_time_are_as_far_apart_as_they_are_long() -> None:
    table, now_s = Timetable(PACE), 50.0
    table.resume(now_s)
    for _ in range(10):
        pause_s = table.step(now_s, 20)
        assert pause_s == pytest.approx(0.003)
        now_s += pause_s
    assert (table.steps, table.late_steps, table.lost_s) == (10, 0, 0)


def test_a_step_that_began_late_is_made_up_for() -> None:
    table = Timetable(PACE)
    table.resume(50.0)
    assert table.step(50.001, 20) == pytest.approx(0.002)
    assert table.late_steps == 0


def test_a_step_after_the_next_one_was_due_is_late() -> None:
    table = Timetable(PACE)
    table.resume(50.0)
    table.step(50.0, 20)
    assert table.step(50.0061, 20) == 0  # due at 50.003, and the next at 50.006
    assert table.late_steps == 1
    table.step(50.0061, 20)
    table.clear()
    assert (table.steps, table.late_steps) == (0, 0)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=50), st.integers(1, 200))
def test_what_is_not_made_up_for_is_said_to_be_lost(delays_s: list[float], streams: int) -> None:
    table, now_s = Timetable(PACE), 50.0
    table.resume(now_s)
    for delay_s in delays_s:
        now_s += delay_s
        now_s += table.step(now_s, streams)
    scheduled_s = 50.0 + len(delays_s) * PACE.of(streams) + table.lost_s
    assert scheduled_s - 1e-9 <= now_s <= scheduled_s + MAX_CATCH_UP_S + 1e-9
    assert (max(delays_s) <= MAX_CATCH_UP_S) or table.late_steps
