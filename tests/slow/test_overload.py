"""Ten times as many listeners as the device carries: those who are let in hear no gap."""

from __future__ import annotations

import pytest
import uvloop

from bench.overload import crowd
from bench.paced_engine import paced_engine

pytestmark = [pytest.mark.slow, pytest.mark.fault(24)]


def test_a_crowd_is_refused_at_once_and_nobody_who_listens_hears_a_gap() -> None:
    with paced_engine("--tokens-per-s", "400") as url:
        outcome = uvloop.run(crowd(url, utilisation=0.8, seconds=12, factor=10))
    row = outcome.row()
    assert {answer.failure for answer in outcome.answers} == {"", "status 429"}, row
    assert len(outcome.admitted) < len(outcome.answers) / 3, row
    assert len(outcome.admitted) >= 10, row
    late = [answer for answer in outcome.admitted if answer.silence_s > 0.05]
    assert len(late) <= 0.05 * len(outcome.admitted), row
    assert row["rtf_p99"] < 1, row  # type: ignore[operator]
    assert row["refused_ms_p50"] < 50, row  # type: ignore[operator]
    assert outcome.status_after == 200
