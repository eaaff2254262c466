"""Ten times as many listeners as the device carries: those who are let in hear no gap."""

from __future__ import annotations

import pytest
import uvloop

from bench.overload import crowd
from bench.paced_engine import paced_engine

pytestmark = [pytest.mark.slow, pytest.mark.fault(24)]


@pytest.mark.parametrize(("wait_s", "refused_ms"), [(0.0, 50.0), (3.0, 4_000.0)])
def test_admitted_streams_of_a_crowd_hear_no_gap_and_the_others_are_refused_in_time(
    wait_s: float, refused_ms: float
) -> None:
    with paced_engine("--tokens-per-s", "400") as url:
        outcome = uvloop.run(crowd(url, utilisation=0.8, wait_s=wait_s, seconds=12, factor=10))
    row = outcome.row()
    assert {answer.failure for answer in outcome.answers} == {"", "status 429"}, row
    assert len(outcome.admitted) < len(outcome.answers) / 3, row
    assert len(outcome.admitted) >= 10, row
    late = [answer for answer in outcome.admitted if answer.silence_s > 0.05]
    assert len(late) <= 0.05 * len(outcome.admitted), row
    if not wait_s:  # which counts in the factor
        assert row["rtf_p99"] < 1, row  # type: ignore[operator]
    assert row["refused_ms_p50"] < refused_ms, row  # type: ignore[operator]
    assert outcome.status_after == 200
