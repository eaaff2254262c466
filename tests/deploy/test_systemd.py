"""The systemd unit agrees with the service, and systemd accepts it and rates it as hardened."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.config.settings import Settings
from app.server.server import CANCEL_GRACE_S, CLOSE_TIMEOUT_S

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "systemd" / "speech-server.service"
PYTHON = "/opt/speech/bin/python"
NOT_SETTINGS = {"HF_HOME", "PYTHONUNBUFFERED"}
MOST_EXPOSED = 20  # in tenths; 100 is a service without any limit

Analyse = Callable[..., "subprocess.CompletedProcess[str]"]


def values(key: str) -> list[str]:
    """Return the values of a key in the unit, line by line."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)


@pytest.fixture
def analyse(tmp_path: Path) -> Analyse:
    """systemd-analyze on the unit, with a Python that is here."""
    if not (program := shutil.which("systemd-analyze")):
        pytest.skip("systemd is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PYTHON, sys.executable))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments, str(unit)], capture_output=True, text=True, check=False
        )

    return run


def test_it_runs_the_service_with_settings_that_are_there() -> None:
    assert values("ExecStart") == [f"{PYTHON} -m app"]
    names = {pair.partition("=")[0] for line in values("Environment") for pair in line.split()}
    assert {name.lower() for name in names - NOT_SETTINGS} <= Settings.model_fields.keys()


def test_it_writes_to_its_own_folders() -> None:
    assert values("ProtectSystem") == ["strict"]
    (state,), (cache,) = values("StateDirectory"), values("CacheDirectory")
    places = " ".join(values("Environment"))
    assert f"VOICES_FOLDER=/var/lib/{state}/" in places
    assert f"HF_HOME=/var/cache/{cache}/" in places


@pytest.mark.fault(30)
def test_the_service_has_time_to_finish() -> None:
    (longest_s,) = map(int, values("TimeoutStopSec"))
    assert (
        longest_s
        > Settings.model_fields["shutdown_grace_s"].default + CANCEL_GRACE_S + CLOSE_TIMEOUT_S
    )
    assert values("KillMode") == ["mixed"]
    assert values("KillSignal") == []  # SIGTERM, systemd's default


def test_what_would_break_the_service_is_not_asked_for() -> None:
    """Kernels are compiled while it runs, and GPUs and the CPU's description have to be seen."""
    assert not values("MemoryDenyWriteExecute")
    assert not values("PrivateDevices")
    assert not values("ProcSubset")
    assert values("DeviceAllow") == ["char-nvidia* rw"]


def test_systemd_understands_it(analyse: Analyse) -> None:
    verified = analyse("verify", "--man=no")
    assert (verified.returncode, verified.stderr) == (0, "")


def test_systemd_thinks_it_hardened(analyse: Analyse) -> None:
    rated = analyse("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager")
    assert rated.returncode == 0, rated.stdout[-200:]
