"""Outputs of `say`: a file, standard output or the speakers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Protocol

PLAYERS = {  # programs that play a WAV from standard input, preferred first, with their options
    "pw-play": ("-",),
    "paplay": (),
    "aplay": ("-q", "-"),
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error", "-i", "pipe:0"),
    "play": ("-q", "--ignore-length", "-t", "wav", "-"),
}
MACOS_PLAYER = "afplay"  # plays files alone
ADVICE = "write a file with -o FILE"


class OutputError(OSError):
    """Audio that cannot be played; the message is one line."""


class Output(Protocol):
    """Receiver of the audio, chunk by chunk. `write` and `finish` block and raise OSError."""

    def write(self, data: bytes) -> None: ...

    def finish(self) -> None:
        """Complete the output after the last chunk; wait until it has been played."""
        ...

    def discard(self) -> None:
        """Delete an incomplete file, or stop playing."""
        ...


class StandardOutput:
    """Standard output, for another program."""

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        """Do nothing, because each chunk is flushed."""

    def discard(self) -> None:
        """Do nothing: bytes that have been written cannot be taken back."""


class AudioFile:
    """A file, which is deleted if it stays incomplete."""

    def __init__(self, path: Path, audio_format: str) -> None:
        self._path, self._format = path, audio_format
        self._file = path.open("wb")

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    def finish(self) -> None:
        """Write the sizes of a WAV, which were unknown at its start, and close the file."""
        with self._file as file:
            if self._format == "wav" and self._path.is_file():
                size = file.tell()
                for place in (4, 40):  # of the RIFF and the data chunk; each size ends the file
                    file.seek(place)
                    file.write((size - place - 4).to_bytes(4, "little"))

    def discard(self) -> None:
        """Delete the file, unless it is a pipe or a device."""
        self._file.close()
        if self._path.is_file():
            self._path.unlink()


class StreamPlayer:
    """A player that reads its standard input. It starts with the first chunk."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def write(self, data: bytes) -> None:
        process = self._process = self._process or subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert process.stdin is not None
        try:
            process.stdin.write(data)
            process.stdin.flush()
        except BrokenPipeError as exc:
            with suppress(BrokenPipeError):
                process.stdin.close()
            raise self._failure(process.wait()) from exc

    def finish(self) -> None:
        if (process := self._process) is None or process.stdin is None:
            return
        process.stdin.close()
        if status := process.wait():
            raise self._failure(status)

    def discard(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _failure(self, status: int) -> OutputError:
        name = Path(self._command[0]).name
        return OutputError(f"{name} ended with status {status} before the audio; {ADVICE}")


class FilePlayer:
    """A player that needs a whole file."""

    def __init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="speech-")) / "speech.wav"
        self._file = AudioFile(self._path, "wav")

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def finish(self) -> None:
        self._file.finish()
        _play(self._path)
        self.discard()

    def discard(self) -> None:
        shutil.rmtree(self._path.parent, ignore_errors=True)


def _play(path: Path) -> None:
    if sys.platform == "win32":
        import winsound  # noqa: PLC0415  (only on Windows)

        winsound.PlaySound(str(path), winsound.SND_FILENAME)
    elif subprocess.run([MACOS_PLAYER, path], check=False).returncode:
        raise OutputError(f"{MACOS_PLAYER} cannot play the audio; {ADVICE}")


def open_output(target: str | None, audio_format: str) -> Output:
    """Open a file, standard output (`-`) or, for None, the speakers.

    Raises:
        OSError: the file cannot be written, or no player is installed.
    """
    if target == "-":
        return StandardOutput()
    if target is not None:
        return AudioFile(Path(target), audio_format)
    for name, options in PLAYERS.items():
        if path := shutil.which(name):
            return StreamPlayer([path, *options])
    if sys.platform == "win32" or shutil.which(MACOS_PLAYER):
        return FilePlayer()
    raise OutputError(f"no audio player is installed ({', '.join(PLAYERS)}); {ADVICE}")
