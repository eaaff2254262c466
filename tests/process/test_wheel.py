"""The wheel in an environment of its own, in a folder with modules of the package's names."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import wave
from pathlib import Path

import pytest

from app import __version__
from tests.child_service import PORTS, ROOT, Running, wait_until_ready
from tests.live_server import SPEECH

pytestmark = pytest.mark.process

SOURCES = ("app", "text_normaliser", "stress_test", "pyproject.toml", "README.md", "LICENSE")
MODULES = ("app", "bench", "text_normaliser", "stress_test")  # also the user's
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment with the wheel.

    The dependencies are those of the running environment, so nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    offline = ("--no-deps", "--no-build-isolation", "--no-index")
    built = run(*PIP, "wheel", *offline, "--wheel-dir", folder, source, folder=folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, folder=folder)
    python = environment / "bin" / "python"
    installed = run(*PIP, "--python", python, "install", *offline, wheel, folder=folder)
    assert installed.returncode == 0, installed.stderr
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, whose modules must not be imported."""
    for name in MODULES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('imported {name}.py')\n")
    return tmp_path


def test_the_wheel_has_the_files_of_the_packages(commands: Path) -> None:
    (packages,) = commands.parent.glob("lib/python*/site-packages")
    for name in ("app", "text_normaliser", "stress_test"):
        files = [path for path in (ROOT / name).rglob("*") if path.is_file()]
        shipped = [path for path in files if path.suffix not in (".pyc", ".md")]
        missing = [path for path in shipped if not (packages / path.relative_to(ROOT)).is_file()]
        assert missing == []


def test_the_command_tells_its_version(commands: Path, folder: Path) -> None:
    ran = run(commands / "speech-server", "--version", folder=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == f"speech-server {__version__}\n"


def test_the_command_speaks_into_a_file(commands: Path, folder: Path) -> None:
    ran = run(commands / "speech-server", "say", "Hello.", "-o", "out.wav", folder=folder)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    with wave.open(str(folder / "out.wav")) as audio:
        assert audio.getframerate() == 24_000
        assert 0.4 < audio.getnframes() / 24_000 < 3


def test_the_command_serves_and_its_processes_start(commands: Path, folder: Path) -> None:
    port = next(PORTS)
    (folder / ".env").write_text("PORT=1\n")
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [commands / "speech-server", "serve", "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOST": "192.0.2.1", "PORT": "2"},
            stdout=output,
            stderr=output,
        )
    service = Running(process, f"http://127.0.0.1:{port}", port, log)
    try:
        wait_until_ready(service)
        hello: dict[str, object] = {"input": "Hello.", "response_format": "wav"}
        assert service.post(SPEECH, hello).content[:4] == b"RIFF"
        normalized = service.post("/v1/audio/normalize", {"input": "It costs $12."})
        assert normalized.json() == {"output": "It costs twelve dollars."}
        load = ("--url", service.url, "--requests", "2", "--warmup", "0", "--processes", "2")
        stress = run(commands / "speech-server", "stress", *load, folder=folder)
        assert "Total Requests: 2\n" in stress.stdout, stress.stderr
        assert stress.returncode == 0
        process.send_signal(signal.SIGTERM)
        status, output_text = service.ended()
    finally:
        service.end()
    assert status == 0, output_text
    assert "Traceback" not in output_text
