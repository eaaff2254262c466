"""A log pipe without a reader: lines are dropped and counted, and the service goes on."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.logs import QueuedStream
from tests.child_service import PORTS, ROOT
from tests.fakes import UNREACHABLE

pytestmark = pytest.mark.process

PIPE_BYTES = 4096  # as small as Linux lets it be
LONG = "x" * 200  # of a path, of which there is a line for each request


@dataclass(frozen=True, slots=True)
class Pipe:
    """A small pipe that is read only when a test reads it."""

    reader: int
    writer: int

    def read_all(self) -> str:
        """Return all bytes, once every writer has closed."""
        with os.fdopen(os.dup(self.reader), "rb") as file:
            return file.read().decode()


@pytest.fixture
def pipe() -> Generator[Pipe]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield Pipe(reader, writer)
    for descriptor in (reader, writer):
        try:
            os.close(descriptor)
        except OSError as exc:
            assert exc.errno == errno.EBADF


@contextmanager
def logging_to(
    pipe: Pipe, folder: Path, **environment: str
) -> Generator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A service that listens, and never becomes ready because its weights do not exist."""
    port = next(PORTS)
    settings = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "ENGINE_URLS": UNREACHABLE,
        "CODEC_WEIGHTS": "/nothing",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "app"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            **settings,
            "LOG_LEVEL": "debug",
            **environment,
        },
        stdout=subprocess.DEVNULL,
        stderr=pipe.writer,
    )
    os.close(pipe.writer)
    try:
        transport = httpx.HTTPTransport(retries=9)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False, transport=transport
        ) as client:
            yield process, client
    finally:
        process.kill()
        process.wait()


@pytest.mark.fault(55)
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_pipe_that_is_not_read_does_not_stop_the_service(
    pipe: Pipe, tmp_path: Path, form: str
) -> None:
    with logging_to(pipe, tmp_path, LOG_FORMAT=form) as (process, client):
        for number in range(60):  # of which the pipe holds fifteen
            assert client.get(f"/{number}/{LONG}").status_code == 404
        received: list[str] = []
        reading = threading.Thread(target=lambda: received.append(pipe.read_all()))
        reading.start()
        assert client.get("/last").status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        reading.join(20)
    (log,) = received
    assert [int(number) for number in re.findall(rf"GET /(\d+)/{LONG[:9]}", log)] == list(range(60))
    assert "/last" in log
    if form == "json":
        assert {"level", "logger", "message"} <= json.loads(log.splitlines()[-1]).keys()


@pytest.mark.fault(55)
def test_the_service_ends_though_its_pipe_is_not_read(pipe: Pipe, tmp_path: Path) -> None:
    with logging_to(pipe, tmp_path) as (process, client):
        for _ in range(60):
            assert client.get(f"/{LONG}").status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.fault(55)
def test_a_pipe_without_a_reader_does_not_stop_the_service(pipe: Pipe, tmp_path: Path) -> None:
    with logging_to(pipe, tmp_path) as (process, client):
        assert client.get("/health").status_code == 200
        os.close(pipe.reader)
        for _ in range(3):
            assert client.get(f"/{LONG}").status_code == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.fault(55)
def test_lines_that_do_not_fit_are_dropped_and_counted_where_they_are_missing(pipe: Pipe) -> None:
    stream = QueuedStream(pipe.writer, max_bytes=10_000)
    for number in range(1_000):
        stream.write(f"{number} {LONG}\n")
    received = bytearray()
    while b"dropped" not in received:
        received += os.read(pipe.reader, PIPE_BYTES)
    stream.write("again\n")
    while b"again\n" not in received:
        received += os.read(pipe.reader, PIPE_BYTES)
    *lines, notice, again = received.decode().splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))
    assert 10 < len(lines) < 100
    assert (
        notice == f"{1_000 - len(lines)} log lines were dropped because standard error was not read"
    )
    assert again == "again"


@pytest.mark.fault(55)
def test_lines_that_could_not_be_written_are_counted_until_they_can(pipe: Pipe) -> None:
    os.close(pipe.reader)
    stream = QueuedStream(pipe.writer)
    for _ in range(5):
        stream.write("lost\n")
        stream.drain()
    reader, writer = os.pipe()
    os.dup2(writer, pipe.writer)
    os.close(writer)
    stream.write("found\n")
    stream.drain()
    received = os.read(reader, PIPE_BYTES).decode().splitlines()
    os.close(reader)
    assert received == ["5 log lines were dropped because standard error was not read", "found"]


@pytest.mark.fault(55)
def test_a_fork_writes_its_own_lines_alone(pipe: Pipe) -> None:
    """A process of its own, since a fork has none of this one's threads."""
    code = (
        "import os; from app.logs import QueuedStream; stream = QueuedStream(2)\n"
        "stream.write('parent\\n'); stream.drain()\n"
        "child = os.fork()\n"
        "stream.write('child\\n' if child == 0 else ''); stream.drain()\n"
        "os._exit(0) if child == 0 else os.waitpid(child, 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=20, check=True
    )
    assert ran.stderr == b"parent\nchild\n"


@pytest.mark.fault(55)
def test_a_file_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    stream = QueuedStream(pipe.writer)
    for number in range(100):
        stream.write(f"{number} {LONG}\n")
    received = bytearray()
    while not received.endswith(f"99 {LONG}\n".encode()):
        received += os.read(pipe.reader, PIPE_BYTES)
    assert [int(line.split()[0]) for line in received.decode().splitlines()] == list(range(100))
