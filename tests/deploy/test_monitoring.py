"""Metrics, dashboard, alerts and their page agree with the metrics that the service exports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.metrics import MetricWrapperBase

from app import metrics

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "monitoring.md"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
TABLE = re.compile(r"(?<=\|---\|---\|---\|---\|\n).*?(?=\n\n)", re.DOTALL)
SERIES = re.compile(r"\b(?:tts|process)_[a-z_]+")
OF_THE_PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def collectors() -> list[MetricWrapperBase]:
    return [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]


def described(collector: MetricWrapperBase) -> Metric:
    (metric,) = collector.describe()
    return metric


def rows() -> str:
    """The page's table, from the code."""
    lines: list[str] = []
    for collector in collectors():
        metric = described(collector)
        name = metric.name + ("_total" if metric.type == "counter" else "")
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        lines.append(f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |")
    return "\n".join(lines)


def series() -> set[str]:
    """Every name that a query may use."""
    names = set(OF_THE_PROCESS)
    for metric in map(described, collectors()):
        suffixes = {
            "counter": ["_total"],
            "histogram": ["_bucket", "_sum", "_count"],
            "gauge": [""],
        }[metric.type]
        names |= {metric.name + suffix for suffix in suffixes}
    return names


def dashboard() -> dict[str, list[dict[str, object]]]:
    loaded: dict[str, list[dict[str, object]]] = json.loads(DASHBOARD.read_text())
    return loaded


def queries() -> Iterator[tuple[str, str]]:
    """Title and expression of every query of the dashboard, its variables replaced."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):  # type: ignore[attr-defined]
            expression = target["expr"].replace("$__rate_interval", "1m")
            yield (
                str(panel["title"]),
                expression.replace("$instance", ".*").replace("$job", "speech-server"),
            )


def test_the_page_lists_every_metric() -> None:
    (table,) = TABLE.findall(PAGE.read_text())
    assert table == rows()


def test_labels_come_from_the_flat_list_alone() -> None:
    assert all(isinstance(collector, Counter | Gauge | Histogram) for collector in collectors())
    text = "\n".join(
        path.read_text() for path in (ROOT / "app").rglob("*.py") if path.name != "metrics.py"
    )
    assert not re.search(r"prometheus_client import .*(Counter|Gauge|Histogram)", text)


@pytest.mark.parametrize(("title", "expression"), list(queries()))
def test_a_query_of_the_dashboard_asks_for_what_is_exported(title: str, expression: str) -> None:
    assert set(SERIES.findall(expression)) <= series()


def test_every_metric_has_its_place_on_the_dashboard() -> None:
    asked = " ".join(expression for _, expression in queries())
    assert [
        metric.name for metric in map(described, collectors()) if metric.name not in asked
    ] == []


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place: dict[str, int] = panel["gridPos"]  # type: ignore[assignment]
        cells = {
            (place["x"] + dx, place["y"] + dy)
            for dx in range(place["w"])
            for dy in range(place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_alerts_ask_for_what_is_exported() -> None:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            assert set(SERIES.findall(rule["expr"])) <= series(), rule["alert"]


def test_prometheus_as_its_file_says_leaves_the_ports_of_others_alone() -> None:
    """Its own default, 9090, is vLLM's."""
    scraped = re.findall(r'"localhost:(\d+)"', CONFIGURATION.read_text())
    (own,) = re.findall(r"--web.listen-address=localhost:(\d+)", CONFIGURATION.read_text())
    assert scraped
    assert own not in scraped


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Prometheus's promtool")
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"dashboard:{index}", "expr": expression}
        for index, (_, expression) in enumerate(queries())
    ]
    written = tmp_path / "dashboard.yml"
    written.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    for arguments in (
        ["rules", str(written)],
        ["rules", str(ALERTS)],
        ["config", str(CONFIGURATION)],
    ):
        checked = subprocess.run(
            ["promtool", "check", *arguments], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr


if __name__ == "__main__":  # writes the table anew
    PAGE.write_text(TABLE.sub(lambda _: rows(), PAGE.read_text()))
