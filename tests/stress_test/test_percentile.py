"""The percentile of all reports."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stress_test.percentile import percentile


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_lies_within_the_values_and_so_many_do_not_exceed_it(
    values: list[float], percent: int
) -> None:
    found = percentile(values, percent)
    assert min(values) <= found <= max(values)
    assert sum(value <= found for value in values) >= math.floor(percent / 100 * (len(values) - 1))


def test_a_percentile_interpolates() -> None:
    assert percentile([4.0, 1.0, 2.0, 3.0], 50) == 2.5
    assert percentile([0.0, 10.0], 99) == pytest.approx(9.9)


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert math.isnan(percentile([], 50))
