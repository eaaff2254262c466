"""Ten times as many clients as the device sustains: admitted streams have no gap."""

from __future__ import annotations

import pytest
import uvloop

from bench.overload import overload
from bench.paced_engine import paced_engine
from stress_test.outcome import Completed, Failed
from stress_test.report import REFUSED

pytestmark = [pytest.mark.slow, pytest.mark.fault(24)]


@pytest.mark.parametrize(("wait_s", "refused_ms"), [(0.0, 50.0), (3.0, 4_000.0)])
def test_admitted_streams_of_a_crowd_hear_no_gap_and_the_others_are_refused_in_time(
    wait_s: float, refused_ms: float
) -> None:
    with paced_engine("--tokens-per-s", "400") as url:
        result = uvloop.run(overload(url, utilisation=0.8, wait_s=wait_s, seconds=12, factor=10))
    row = result.row()
    admitted = [outcome for outcome in result.outcomes if isinstance(outcome, Completed)]
    failed = [outcome for outcome in result.outcomes if isinstance(outcome, Failed)]
    assert failed, row
    assert all(outcome.error.startswith(REFUSED) for outcome in failed), row
    assert len(admitted) < len(result.outcomes) / 3, row
    assert len(admitted) >= 10, row
    late = [outcome for outcome in admitted if outcome.underrun_s > 0.05]
    assert len(late) <= 0.05 * len(admitted), row
    if not wait_s:  # the real-time factor includes the wait
        assert row["rtf_p99"] < 1, row  # type: ignore[operator]
    assert row["refused_ms_p50"] < refused_ms, row  # type: ignore[operator]
    assert isinstance(result.after, Completed), row
