"""One service process with JSON logs at debug level, traces and API keys: the output it leaves.

The service is started once for this file, gets a few requests, and is ended by SIGTERM.
"""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from websockets.sync.client import connect

from tests.api.test_secrets import KEY, TEXT, WRONG_KEY, leaks
from tests.child_service import Running, running_in
from tests.live_server import HELLO, SPEECH

pytestmark = pytest.mark.process

OURS = {"authorization": f"Bearer {KEY}"}


@dataclass
class Collector:
    """A receiver of OTLP over HTTP: path and body of each export."""

    url: str = ""
    received: list[tuple[str, bytes]] = field(default_factory=list)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Receive exports until the block ends."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            collector.received.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True, slots=True)
class Observed:
    """The exit status of the service, the lines of its log, and its exports."""

    status: int
    lines: list[str]
    exports: list[tuple[str, bytes]]


def speak_over_a_socket(service: Running) -> None:
    url = service.url.replace("http", "ws") + "/v1/audio/speech/stream"
    with connect(url, proxy=None, additional_headers=OURS) as client:
        client.send(json.dumps({"type": "text", "text": TEXT}))
        client.send(json.dumps({"type": "end"}))
        while True:
            message = client.recv(timeout=20)
            if isinstance(message, str) and json.loads(message)["type"] == "done":
                return


def send_requests(service: Running) -> None:
    """Send requests with a secret text, with an id, with a wrong key, and over a WebSocket."""
    named = {**OURS, "x-request-id": "mine"}
    assert service.post(SPEECH, HELLO, named).status_code == 200
    bodies: list[dict[str, object]] = [
        {"input": TEXT},
        {"input": TEXT, "voice": TEXT},
        {"input": TEXT, "stream": False},
        {"input": TEXT, "normalize": True},
        {"input": "你好 Quagmire"},
    ]
    statuses = [service.post(SPEECH, {**HELLO, **body}, OURS).status_code for body in bodies]
    assert statuses == [200, 400, 200, 200, 200]
    wrong = {"authorization": f"Bearer {WRONG_KEY}"}
    assert service.post(SPEECH, HELLO, wrong).status_code == 401
    speak_over_a_socket(service)


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Generator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    pronunciations = folder / "words.tsv"
    pronunciations.write_text("hello\thullo\n")
    settings = {
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "debug",
        "API_KEYS": KEY,
        "PRONUNCIATIONS": str(pronunciations),
    }
    with collecting() as collector:
        (folder / ".env").write_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={collector.url}\n")
        with running_in(folder, **settings) as service:
            send_requests(service)
            service.process.send_signal(signal.SIGTERM)
            status, output = service.ended(30)
        yield Observed(status, output.splitlines(), collector.received)


def test_a_service_logs_json_alone(observed: Observed) -> None:
    lines = [json.loads(line) for line in observed.lines]
    assert [line["status"] for line in lines if line.get("request_id") == "mine"] == [200]
    assert {line["logger"] for line in lines} >= {"app.main", "uvicorn.error"}
    assert observed.status == 0


def test_the_service_exports_to_the_collector_of_its_settings(observed: Observed) -> None:
    assert {path for path, _ in observed.exports} == {"/v1/traces"}
    exports = [ExportTraceServiceRequest.FromString(body) for _, body in observed.exports]
    resources = [resource for export in exports for resource in export.resource_spans]
    services = {
        pair.value.string_value
        for resource in resources
        for pair in resource.resource.attributes
        if pair.key == "service.name"
    }
    assert services == {"speech-server"}
    scopes = [scope for resource in resources for scope in resource.scope_spans]
    names = {span.name for scope in scopes for span in scope.spans}
    stages = {"engine", "engine.first_token", "decode", "decode.wait", "normalise"}
    assert names >= {f"POST {SPEECH}", *stages}


@pytest.mark.fault(39)
def test_a_process_at_the_debug_level_writes_no_key_and_no_text(observed: Observed) -> None:
    assert len(observed.lines) > 5
    assert leaks(observed.lines) == []
