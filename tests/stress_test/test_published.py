"""The report that the README shows is of the result that it names."""

from __future__ import annotations

import re
from pathlib import Path

from stress_test.figures import Figures
from stress_test.report import report
from stress_test.result import read

ROOT = Path(__file__).parents[2]
SHOWN = re.compile(r"^```\n(=== SLO LATENCY REPORT ===\n.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_line_of_the_readme_s_report_is_in_the_report() -> None:
    shown = SHOWN.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown
    result = read(ROOT / "bench" / "results" / "stress-stub.json")
    lines = iter(report(Figures.of(result.run)).splitlines())
    assert [line for line in shown[1].splitlines() if line != "..." and line not in lines] == []


def test_the_kept_results_can_be_believed() -> None:
    for file in (ROOT / "bench" / "results").glob("stress-*.json"):
        figures = Figures.of(read(file).run)
        assert figures.generator.believable
        assert not figures.failed
