"""The alerts of deploy/prometheus, evaluated by promtool over made-up series."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.errors import Draining, NotReady, ServiceError
from tests.deploy.test_monitoring import queries

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load(ALERTS.read_text())["groups"]
    for rule in group["rules"]
}
OUTCOMES = re.compile(r'outcome=~"([^"]*)"')
INSTANCE = 'instance="speech:9091",job="speech-server"'
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs Prometheus's promtool"
)


def errors(kind: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """A class of errors, and those below it."""
    yield kind
    for further in kind.__subclasses__():
        yield from errors(further)


def rising(name: str, per_minute: int, **labels: str) -> dict[str, str]:
    """A counter of half an hour."""
    written = "".join(f',{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{INSTANCE}{written}}}", "values": f"0+{per_minute}x30"}


def level(name: str, value: int, **labels: str) -> dict[str, str]:
    """A gauge that stands still."""
    return {**rising(name, 0, **labels), "values": f"{value}x30"}


def summary(folder: Path, alert: str, *series: dict[str, str]) -> str:
    """Return the alert's summary after 20 minutes of these series; "" if it does not fire."""
    evaluated = [{"eval_time": "20m", "alertname": alert}]
    tests = [{"interval": "1m", "input_series": list(series), "alert_rule_test": evaluated}]
    (folder / "tests.yml").write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": tests}))
    ran = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, 1)
    found = re.search(r'got:\[.*summary="((?:[^"\\]|\\.)*)"', ran.stdout + ran.stderr, re.DOTALL)
    assert bool(found) == bool(ran.returncode), ran.stdout + ran.stderr
    return found[1] if found else ""


def test_the_page_lists_every_alert() -> None:
    assert re.findall(r"^\| `([A-Z]\w+)` \|", PAGE, re.MULTILINE) == list(RULES)


def test_what_fails_is_what_is_the_servers_fault() -> None:
    """By status, but not for a server that starts or leaves, which other alerts report."""
    codes = {error.code: error.status for error in errors()}
    own = {code for code, status in codes.items() if status >= 500} - {NotReady.code, Draining.code}
    expressions = [
        RULES["SpeechFailing"]["expr"],
        *(query for title, query in queries() if title == "Failed share"),
    ]
    for expression in expressions:
        counted, beside = OUTCOMES.findall(expression)
        assert {code for code in codes if re.fullmatch(counted, code)} == own
        assert beside == f"ok|{counted}"
    assert len(expressions) == 2


@needs_promtool
def test_callers_mistakes_page_nobody(tmp_path: Path) -> None:
    mistakes = [
        rising("tts_requests_total", 60, outcome=outcome)
        for outcome in (
            "voice_not_found",
            "invalid_api_key",
            "empty_input",
            "cancelled",
            "overloaded",
            "draining",
        )
    ]
    well = rising("tts_requests_total", 10, outcome="ok")
    assert summary(tmp_path, "SpeechFailing", well, *mistakes) == ""
    failing = rising("tts_requests_total", 10, outcome="engine_timeout")
    assert "speech:9091: 50% of the requests fail" in summary(
        tmp_path, "SpeechFailing", well, failing, *mistakes
    )


@needs_promtool
def test_a_key_at_its_limit_asks_for_no_replica(tmp_path: Path) -> None:
    asked = rising("tts_requests_total", 100, outcome="ok")
    of_a_key = rising("tts_refused_total", 60, reason="key")
    assert summary(tmp_path, "SpeechRefused", asked, of_a_key) == ""
    late = rising("tts_refused_total", 40, reason="late")
    assert "40% of the requests (late)" in summary(tmp_path, "SpeechRefused", asked, of_a_key, late)


@needs_promtool
def test_a_server_that_answers_and_cannot_speak_is_noticed(tmp_path: Path) -> None:
    assert summary(tmp_path, "SpeechNotReady", level("tts_ready", 1)) == ""
    assert "speech:9091 responds but is not ready" in summary(
        tmp_path, "SpeechNotReady", level("tts_ready", 0)
    )


@needs_promtool
def test_an_engine_out_of_use_is_named(tmp_path: Path) -> None:
    one, two = (level("tts_engine_up", up, engine=f"http://gpu-{up}:9090") for up in (0, 1))
    assert summary(tmp_path, "EngineDown", two) == ""
    assert "does not use the engine http://gpu-0:9090;" in summary(tmp_path, "EngineDown", one, two)
