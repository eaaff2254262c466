"""A real Prometheus scrapes a service, and answers the dashboard's queries."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.child_service import PORTS, Running, running_in
from tests.deploy.test_monitoring import queries
from tests.live_server import HELLO, SPEECH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="needs Prometheus (Debian's package will do)"
    ),
]

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: speech-server
    static_configs: [{{targets: ["{target}"]}}]
"""
# Silent where the service has one embedded engine, no graphs and nothing goes wrong.
MAY_BE_EMPTY = {
    "Failed share",
    "Rejected",
    "Retries",
    "Runaways",
    "Engines up",
    "Streams by engine",
    "Engine failures",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_in(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(
    service: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(
        CONFIG.format(target=service.url.removeprefix("http://"))
    )
    address = f"127.0.0.1:{next(PORTS)}"
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address={address}",
    ]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=10) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)


def ask(prometheus: httpx.Client, expression: str) -> list[dict[str, object]]:
    """The samples that answer an expression."""
    answer = prometheus.get("/api/v1/query", params={"query": expression})
    assert answer.status_code == 200, answer.text
    samples: list[dict[str, object]] = answer.json()["data"]["result"]
    return samples


def until(prometheus: httpx.Client, expression: str, limit_s: float = 30) -> None:
    """Wait until an expression has an answer."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        try:
            if ask(prometheus, expression):
                return
        except httpx.TransportError:
            pass  # still starting
        time.sleep(0.2)
    pytest.fail(f"no answer to {expression}")


def test_the_dashboards_queries_are_answered(service: Running, prometheus: httpx.Client) -> None:
    until(prometheus, 'up{job="speech-server"} == 1')
    for _ in range(3):
        httpx.post(
            f"{service.url}{SPEECH}", json=HELLO, trust_env=False, timeout=30
        ).raise_for_status()
        time.sleep(1.5)  # a scrape apart, so that there are rates
    until(prometheus, "rate(tts_first_audio_seconds_count[1m]) > 0")
    for title, expression in queries():
        samples = ask(prometheus, expression)
        without_gpu = "tts_decode_device_memory_bytes" in expression
        assert samples or title in MAY_BE_EMPTY or without_gpu, f"{title}: {expression}"
    (spoken,) = ask(prometheus, 'tts_requests_total{outcome="ok"}')
    assert json.dumps(spoken["value"]).endswith('"3"]')
