"""The page of a result: self-contained, and true to the requests."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stress_test.generator import Timing
from stress_test.load import Load
from stress_test.outcome import Outcome
from stress_test.page import draw, page, shares
from stress_test.plot import Plot, ticks
from stress_test.processes import Run
from stress_test.result import Result
from tests.stress_test.outcomes import completed, failed

MANY = [
    completed(number=number, due_s=number / 100, latency_s=1 + number % 7)
    for number in range(1_000)
]


def made(*outcomes: Outcome, url: str = "http://a", lag_ms: float = 1.0) -> str:
    return page(Result.of(Load(url), Run(outcomes, (Timing(lag_ms, 2.0, 0.1),), 10.0)))


class Tags(HTMLParser):
    """Every tag that is open at the end, and every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "outcomes", [[completed(), failed("timed out")], [failed("timed out")], [], MANY]
)
def test_the_page_is_whole_and_asks_nobody_for_anything(outcomes: list[Outcome]) -> None:
    text = made(*outcomes)
    tags = Tags(text)
    assert tags.open == []
    assert tags.names & {"script", "link", "img", "iframe", "src", "href"} == set()
    assert not re.search(r"url\(|@import", text)
    assert len(text) < 300_000


def test_the_page_shows_the_report_and_every_plot() -> None:
    text = made(completed(), failed("status 502 engine_failed"))
    assert text.count("<svg") == 4
    assert "=== SLO LATENCY REPORT ===" in text
    assert "status 502 engine_failed" in text
    assert "load generator was too slow" not in text
    assert "load generator was too slow" in made(completed(), lag_ms=100.0)


def test_what_came_from_outside_is_text() -> None:
    assert "<b>" not in made(completed(), url="http://<b>a")


def test_nothing_answered_has_only_what_there_is_to_show() -> None:
    assert [plot.title for plot in draw([failed("timed out")])] == [
        "Each request: due, first audio, end",
        "Requests in flight",
    ]
    assert draw([]) == []


def test_many_requests_are_picked_evenly() -> None:
    assert draw(MANY)[2].svg().count("<polyline") == 334


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1))
def test_shares_rise_to_all(values: list[float]) -> None:
    points = shares(values)
    assert points[0] == (0, 0)
    assert points[-1] == (max(values), pytest.approx(100))
    assert all(before <= after for before, after in pairwise(points))


@settings(deadline=None)
@given(st.floats(1e-6, 1e6))
def test_ticks_are_round_and_hold_everything(most: float) -> None:
    found = ticks(most)
    assert found[0] == 0
    assert found[-1] >= most * (1 - 1e-6)
    assert 2 <= len(found) <= 7
    assert found[-1] <= 3 * most


def test_marks_lie_within_the_picture() -> None:
    plot = Plot("a < b", "x", "y", 3.0, 70.0)
    plot.dots([(0.0, 0.0), (3.0, 70.0)], "a", "all")
    svg = plot.svg()
    assert 'aria-label="a &lt; b"' in svg
    places = [
        (float(x), float(y)) for x, y in re.findall(r'class="a" cx="([\d.]+)" cy="([\d.]+)"', svg)
    ]
    assert places == [(58.0, 256.0), (506.0, pytest.approx(256 - 226 * 70 / 80, abs=0.06))]
