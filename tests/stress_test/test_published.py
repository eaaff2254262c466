"""The reports and capacities in docs/ match the results in bench/results that they name."""

from __future__ import annotations

import json
import re
from pathlib import Path

from stress_test.figures import Figures
from stress_test.report import report
from stress_test.result import read

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^```\n(=== SLO LATENCY REPORT ===\n.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_line_of_the_page_s_report_is_in_the_report() -> None:
    shown = SHOWN.search((ROOT / "docs" / "stress-test.md").read_text(encoding="utf-8"))
    assert shown
    result = read(ROOT / "bench" / "results" / "stress-stub.json")
    lines = iter(report(Figures.of(result.run)).splitlines())
    assert [line for line in shown[1].splitlines() if line != "..." and line not in lines] == []


def test_the_kept_results_can_be_believed() -> None:
    for file in (ROOT / "bench" / "results").glob("stress-*.json"):
        figures = Figures.of(read(file).run)
        assert figures.generator.believable
        assert not figures.failed


def test_the_capacities_of_the_capacity_page_are_those_that_were_found() -> None:
    page = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    results = sorted((ROOT / "bench" / "results").glob("capacity-*.json"))
    assert len(results) >= 3
    for file in results:
        found = json.loads(file.read_text(encoding="utf-8"))
        (row,) = [line for line in page.splitlines() if line.startswith("|") and file.name in line]
        (carried,) = [
            tried for tried in found["levels"] if tried["listeners"] == found["carried_listeners"]
        ]
        shown = [cell.strip() for cell in row.split("|")[2:5]]
        cost = "" if found["hour_costs"] is None else f"{found['hour_costs']:.3f}"
        assert shown == [str(found["carried_listeners"]), str(carried["in_flight"]), cost]
        assert carried["figures"]["generator"]["believable"]
