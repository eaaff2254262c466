"""Outputs of `say`: files, pipes and players."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest

from app.audio.encoders import make_encoder
from app.commands.output import (
    PLAYERS,
    AudioFile,
    OutputError,
    StandardOutput,
    StreamPlayer,
    open_output,
)
from tests.fakes import ToneCodec
from tests.waiting import wait_until

AUDIO = bytes(range(256)) * 8


def streamed_wav(samples: int) -> list[bytes]:
    """Return a streamed WAV of silence, whose sizes are unknown, in two chunks."""
    encoder = make_encoder("wav", ToneCodec().spec.sample_rate_hz)
    return [encoder.header(), bytes(2 * samples)]


def test_a_wav_gets_its_sizes(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    output = AudioFile(path, "wav")
    for chunk in streamed_wav(1_000):
        output.write(chunk)
    assert path.stat().st_size == 44 + 2_000  # written as it arrives
    output.finish()
    assert path.stat().st_size == 44 + 2_000
    assert path.read_bytes()[4:8] == (36 + 2_000).to_bytes(4, "little")
    with wave.open(str(path)) as read:
        assert read.getnframes() == 1_000


def test_other_formats_stay_as_they_are(tmp_path: Path) -> None:
    output = AudioFile(tmp_path / "out.pcm", "pcm")
    output.write(AUDIO)
    output.finish()
    assert (tmp_path / "out.pcm").read_bytes() == AUDIO


def test_an_incomplete_file_is_deleted(tmp_path: Path) -> None:
    output = AudioFile(tmp_path / "out.wav", "wav")
    output.write(AUDIO)
    output.discard()
    assert not (tmp_path / "out.wav").exists()


def test_a_device_is_neither_changed_nor_deleted() -> None:
    output = open_output(os.devnull, "wav")
    output.write(AUDIO)
    output.finish()
    output = open_output(os.devnull, "wav")
    output.discard()
    assert Path(os.devnull).exists()


def test_a_hyphen_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = open_output("-", "wav")
    assert isinstance(output, StandardOutput)
    output.write(AUDIO)
    output.finish()
    assert capfdbinary.readouterr().out == AUDIO


def player(folder: Path, name: str, script: str) -> None:
    """Write a program that acts as a player."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("name", PLAYERS)
def test_a_player_of_the_path_reads_the_audio(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    player(tmp_path, name, f'echo "$@" >{tmp_path}/options; exec /bin/cat >{tmp_path}/played')
    output = open_output(None, "wav")
    output.write(AUDIO[:100])
    output.write(AUDIO[100:])
    output.finish()
    assert (tmp_path / "played").read_bytes() == AUDIO
    assert (tmp_path / "options").read_text().split() == list(PLAYERS[name])


def test_the_first_player_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("aplay", "pw-play", "play"):
        player(tmp_path, name, f"exec /bin/cat >{tmp_path}/{name}.played")
    output = open_output(None, "wav")
    output.write(AUDIO)
    output.finish()
    assert [path.name for path in tmp_path.glob("*.played")] == ["pw-play.played"]


def test_without_a_player_the_error_suggests_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutputError, match=r"no audio player is installed .*-o FILE"):
        open_output(None, "wav")


def test_a_player_that_fails_is_an_error_with_its_status(tmp_path: Path) -> None:
    player(tmp_path, "aplay", "exit 3")
    output = StreamPlayer([str(tmp_path / "aplay")])
    with pytest.raises(OutputError, match=r"aplay ended with status 3 .*-o FILE"):
        for _ in range(100):  # more than a pipe holds
            output.write(AUDIO * 8)
    player(tmp_path, "paplay", "/bin/cat >/dev/null; exit 4")
    output = StreamPlayer([str(tmp_path / "paplay")])
    output.write(AUDIO)
    with pytest.raises(OutputError, match="paplay ended with status 4"):
        output.finish()


def test_a_player_that_is_discarded_stops(tmp_path: Path) -> None:
    player(tmp_path, "aplay", f"echo $$ >{tmp_path}/pid; read line; exec /bin/sleep 100")
    output = StreamPlayer([str(tmp_path / "aplay")])
    output.write(AUDIO)
    pid = tmp_path / "pid"
    wait_until(lambda: pid.exists() and pid.read_text())
    output.discard()
    with pytest.raises(OutputError, match="status -9"):
        output.finish()
