"""`say` in a process of its own: standard input and output, players and signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.child_service import ROOT
from tests.waiting import wait_until

pytestmark = pytest.mark.process

LIMIT_S = 60


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start `say` in a folder, with pipes."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", "say", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_text_is_piped_in_and_audio_is_piped_out(tmp_path: Path) -> None:
    settings = {"API_KEYS": "sk-one", "LOG_LEVEL": "debug"}  # must not matter
    speaking = start(tmp_path, "-o", "-", "--voice", "heron", **settings)
    audio, errors = speaking.communicate(b"The train leaves at nine.", LIMIT_S)
    assert (speaking.returncode, errors) == (0, b"")
    assert audio[:4] == b"RIFF"
    sound = np.frombuffer(audio[44:], "<i2") / 32767
    assert 1 < len(sound) / 24_000 < 5
    assert 0.03 < np.sqrt(np.mean(sound**2)) < 0.5


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--voice", "bob", "-o", "out.wav"], {}, "the voices are lark, heron"),
        (["-o", "missing/out.wav"], {}, "missing/out.wav: No such file or directory"),
        (["-o", "out.wav"], {"MAX_BATCH_SIZE": "many"}, "MAX_BATCH_SIZE"),
    ],
)
def test_an_error_is_one_line_and_leaves_no_file(
    arguments: list[str], environment: dict[str, str], words: str, tmp_path: Path
) -> None:
    speaking = start(tmp_path, "Hello.", *arguments, **environment)
    audio, errors = speaking.communicate(timeout=LIMIT_S)
    assert speaking.returncode == 1
    assert audio == b""
    assert words in errors.decode()
    assert len(errors.decode().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    speaking = start(tmp_path, "The train leaves at nine.", "-o", "-")
    assert speaking.stdout is not None
    assert speaking.stdout.read(4) == b"RIFF"
    speaking.stdout.close()
    assert speaking.stderr is not None
    with speaking, speaking.stderr as errors:
        assert errors.read() == b""
        assert speaking.wait(LIMIT_S) == 141


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_player_quietly(number: signal.Signals, tmp_path: Path) -> None:
    player = tmp_path / "pw-play"
    player.write_text("#!/bin/sh\necho $$ >pid\nexec /bin/sleep 100\n")
    player.chmod(0o755)
    speaking = start(tmp_path, "The train leaves at nine.", PATH=str(tmp_path))
    pid = tmp_path / "pid"
    wait_until(lambda: pid.exists() and pid.read_text(), LIMIT_S)
    speaking.send_signal(number)
    audio, errors = speaking.communicate(timeout=LIMIT_S)
    assert (speaking.returncode, audio, errors) == (128 + number, b"", b"")
    wait_until(lambda: not running(int(pid.read_text())))


def running(pid: int) -> bool:
    """Return if a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
