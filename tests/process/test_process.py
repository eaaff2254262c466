"""`python -m app` as it is first run: no configuration, the embedded voice, signals."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.child_service import ROOT, Running, running_in, start
from tests.fakes import UNREACHABLE
from tests.live_server import SPEECH
from tests.waiting import wait_until

pytestmark = pytest.mark.process

CURL = re.compile(r"^curl -X POST .*?output\.wav$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    with running_in(tmp_path_factory.mktemp("clean")) as service:
        yield service


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_line_of_the_readme_speaks(running: Running, tmp_path: Path) -> None:
    found = CURL.search((ROOT / "README.md").read_text())
    assert found, "the README has lost its curl line"
    line = found.group().replace("http://localhost:9091", running.url).replace("\\\n", "")
    subprocess.run(shlex.split(line), check=True, cwd=tmp_path, capture_output=True)
    answer = (tmp_path / "output.wav").read_bytes()
    sound = np.frombuffer(answer[44:], "<i2") / 32767
    assert answer[:4] == b"RIFF"
    assert 2 < len(sound) / 24_000 < 10
    assert len(sound) % 480 == 0
    assert 0.03 < np.sqrt(np.mean(sound**2)) < 0.5


def test_the_embedded_voice_streams_what_it_says_whole(running: Running) -> None:
    body: dict[str, object] = {
        "input": "The train leaves at nine. Please be on time.",
        "response_format": "pcm",
    }
    streamed = running.post(SPEECH, body)
    whole = running.post(SPEECH, {**body, "stream": False})
    difference = np.frombuffer(streamed.content, "<i2").astype(int) - np.frombuffer(
        whole.content, "<i2"
    )
    assert np.abs(difference).max() <= 1


def test_text_that_the_embedded_voice_cannot_read_is_an_error(running: Running) -> None:
    answer = running.post(SPEECH, {"input": "你好,世界"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unsupported_language")


def test_the_python_example_of_the_websocket_page_speaks(running: Running, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "websocket.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = example.replace("ws://localhost:9091", running.url.replace("http", "ws")).replace(
        "connect(URL)", "connect(URL, proxy=None)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert [line.split("'")[3] for line in ran.stdout.decode().splitlines()] == ["started", "done"]
    sound = np.frombuffer((tmp_path / "answer.pcm").read_bytes(), "<i2") / 32767
    assert 1 < len(sound) / 24_000 < 6
    assert 0.03 < np.sqrt(np.mean(sound**2)) < 0.5


@pytest.mark.fault(30)
def test_sigterm_closes_a_websocket_and_ends_the_service_with_success(tmp_path: Path) -> None:
    with running_in(tmp_path) as service:
        with connect(
            f"{service.url.replace('http', 'ws')}/v1/audio/speech/stream", proxy=None
        ) as socket:
            service.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=20)
        status, output = service.ended()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert status == 0, output
    assert "Traceback" not in output


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"MAX_BATCH_SIZE": "many"}, "MAX_BATCH_SIZE"),
        ({"MODEL_PROFILE": "nobody"}, "nobody"),
        ({"MODEL_PROFILE": "scicom"}, "ENGINE_URLS"),
        ({"DEFAULT_VOICE": "nobody"}, "DEFAULT_VOICE"),
        (
            {"VOICES": "husein,bob"},
            "VOICES: the embedded engine has the voices lark, heron, not 'bob', 'husein'",
        ),
    ],
)
def test_bad_settings_end_it_with_one_readable_line(
    tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    service = start(tmp_path, **environment)
    status, output = service.ended(30)
    assert status != 0
    assert words in output
    assert len(output.strip().splitlines()) == 1


def test_a_port_that_is_taken_ends_it_with_an_error_that_names_it(
    running: Running, tmp_path: Path
) -> None:
    status, output = start(tmp_path, PORT=str(running.port)).ended(30)
    assert status == 1
    assert "Traceback" not in output
    (error,) = [line for line in output.splitlines() if "ERROR" in line]
    assert str(running.port) in error
    assert "in use" in error


def test_uvicorns_command_line_ends_with_one_line_where_a_setting_is_bad(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "uvicorn", "app.main:app", "--port", "0"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MAX_BATCH_SIZE": "many"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    assert "MAX_BATCH_SIZE" in ran.stderr


def ready_text(service: Running) -> str:
    """Return the answer of /ready; empty while the service does not listen."""
    try:
        return service.get("/ready").text
    except httpx.TransportError:
        return ""


@pytest.mark.fault(31)
def test_weights_that_are_absent_leave_it_alive_and_not_ready_until_it_is_told_to_leave(
    tmp_path: Path,
) -> None:
    service = start(tmp_path, ENGINE_URLS=UNREACHABLE, CODEC_WEIGHTS=str(tmp_path / "nothing"))
    try:
        wait_until(lambda: "nothing" in ready_text(service), 40, pause_s=0.2)
        answer = service.get("/ready")
        assert answer.status_code == 503
        assert "nothing" in answer.text
        assert "retried" in answer.text
        assert service.get("/health").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        status, output = service.ended()
        assert status == 0, output
        assert "Traceback" not in output
    finally:
        service.end()


@pytest.mark.fault(30)
def test_sigterm_ends_an_idle_service_with_success(running: Running) -> None:
    """End the service that the other tests share: this test is the last of the file."""
    running.process.send_signal(signal.SIGTERM)
    status, output = running.ended()
    assert status == 0, output
    assert "Traceback" not in output
