"""The containers without a docker engine: the image's steps replayed, its commands run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx
import pytest

from bench.paced_engine import paced_engine
from tests.child_service import PORTS, Running, wait_until_ready
from tests.cloning.recordings import recording
from tests.compose_env import environment_of
from tests.slow.image import ROOT, Image, Stage, built, can_build

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not can_build(), reason="no right to make overlays in a mount namespace"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

SPEECH = {"input": "The train leaves at nine.", "response_format": "wav", "voice": "husein"}


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with built(ROOT / "Dockerfile") as image:
        for stage in ("service", "stress-test"):
            image.seal(image.stages[stage])
        yield image


@pytest.fixture(scope="module")
def service(image: Image) -> Stage:
    return image.stages["service"]


@pytest.fixture
def free_port() -> int:
    return next(PORTS)


@contextmanager
def running(
    image: Image, stage: Stage, environment: Mapping[str, str], port: int
) -> Iterator[Running]:
    """The stage's CMD, on this machine's network and so on a port of its own."""
    own = {**environment, "HOST": "127.0.0.1", "PORT": str(port)}
    command = image.container(stage, stage.command, own)
    with NamedTemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        service = Running(process, f"http://127.0.0.1:{port}", port, Path(log.name))
        try:
            yield service
        finally:
            process.terminate()


def curl(url: str, body: Mapping[str, object], *options: str) -> subprocess.CompletedProcess[bytes]:
    asked = [
        "curl",
        "-sS",
        "--noproxy",
        "*",
        "-H",
        "Content-Type: application/json",
        "-d",
        json.dumps(body),
    ]
    return subprocess.run(
        [*asked, *options, f"{url}/v1/audio/speech"], capture_output=True, check=True
    )


def test_the_cpu_service_speaks_without_an_engine(
    image: Image, service: Stage, free_port: int
) -> None:
    environment = environment_of("docker-compose-cpu.yaml", {"API_KEYS": "sk-one,sk-two"})
    with running(image, service, environment, free_port) as started:
        wait_until_ready(started)
        assert curl(started.url, SPEECH, "-w", "%{http_code}", "-o", "/dev/null").stdout == b"401"
        answer = curl(started.url, SPEECH, "-H", "Authorization: Bearer sk-two").stdout
        assert answer[:4] == b"RIFF"
        assert len(answer) > 48_000
        health = image.container(service, service.health, {"PORT": str(free_port)})
        assert subprocess.run(health, check=False).returncode == 0
        stress = image.stages["stress-test"]
        load = {
            **environment_of("stress-test.yaml", {}, {"LOCAL_TTS_API": started.url}),
            "CONCURRENCY": "4",
        }
        asked = {**load, "STRESS_API_KEY": "sk-one"}
        report = subprocess.run(
            image.container(stress, stress.command, asked),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "=== SLO LATENCY REPORT ===\nTotal Requests: 4\n" in report.stdout, report.stderr
        assert report.returncode == 0, report.stdout
        started.process.terminate()
        status, output = started.ended()
    assert status == 0, output
    assert "Traceback" not in output
    health = image.container(service, service.health, {"PORT": str(free_port)})
    assert subprocess.run(health, capture_output=True, check=False).returncode != 0


def test_the_process_is_nobody_special_and_can_write_to_its_volumes_alone(
    image: Image, service: Stage
) -> None:
    script = """
import os, pathlib
print(os.getuid())
for folder in ("/", "/srv", "/opt/speech", "/etc", "/tmp", os.environ["HF_HOME"],
               os.environ["VOICES_FOLDER"], "/var/lib/speech/replays"):
    try:
        (pathlib.Path(folder) / "probe").touch()
        print(folder)
    except OSError:
        pass
"""
    ran = subprocess.run(
        image.container(service, ["python", "-c", script], {}), capture_output=True, check=True
    )
    volumes = ["/var/cache/huggingface", "/var/lib/speech/voices", "/var/lib/speech/replays"]
    assert ran.stdout.decode().split() == ["10001", "/tmp", *volumes]


def test_the_production_profile_speaks_with_an_engine_and_clones_a_voice(
    image: Image, service: Stage, free_port: int
) -> None:
    with paced_engine("--tokens-per-s", "380") as engine:
        chosen = {"ENGINE_URLS": engine, "CODEC_WEIGHTS": "random"}
        with running(
            image, service, environment_of("docker-compose-cpu.yaml", chosen), free_port
        ) as started:
            wait_until_ready(started)
            form = {"name": "me", "reference_text": "A tone."}
            files = {"audio_sample": ("me.wav", recording("wav", 2.0))}
            kept = httpx.post(
                f"{started.url}/v1/audio/voices",
                data=form,
                files=files,
                timeout=120,
                trust_env=False,
            )
            assert kept.status_code == 200, kept.text
            answer = curl(started.url, {**SPEECH, "voice": "me", "max_tokens": 100}).stdout
    assert len(answer) == 44 + 2 * 24_000 * 2
    folder = image.container(service, ["ls", service.environment["VOICES_FOLDER"]], {})
    assert (
        f"{kept.json()['id']}.json"
        in subprocess.run(folder, capture_output=True, check=True).stdout.decode()
    )


def test_the_hub_that_cannot_be_reached_is_one_line(image: Image, service: Stage) -> None:
    chosen = environment_of("docker-compose.yaml", {"HF_HUB_OFFLINE": "1"})
    command = image.container(service, ["python", "-m", "app.prefetch"], chosen)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "the hub cannot be reached" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
