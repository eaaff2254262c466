"""Decoding of one recording in a process of its own, with limits."""

from __future__ import annotations

import logging
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

import numpy as np

from app.audio.samples import Samples
from app.child_process import child_command, child_environment
from app.cloning.decoder_process import MAX_CHANNELS, READY, SAMPLE_BYTES, DecodeTask, Verdict
from app.errors import CloningUnavailable, InvalidAudio, ReferenceTooLong

MEMORY_BYTES = 160_000_000  # FFmpeg needs about 30 MB for the longest file in the usual formats
PADDING_S = 0.1  # audio that mp3 and AAC may add at the start and the end
UNAVAILABLE = "recordings cannot be decoded at the moment; see the server log"
MESSAGES: dict[int, str] = {  # by exit status of the process
    Verdict.UNREADABLE: "the file is broken, or its audio format is not supported",
    Verdict.VIDEO: "the file contains video; upload only its audio",
    Verdict.NO_AUDIO: "the file contains no audio",
    Verdict.UNKNOWN_CODEC: "the audio codec of the file is not supported",
    Verdict.UNSUPPORTED: f"the audio must have 8 to 192 kHz and at most {MAX_CHANNELS} channels",
    Verdict.TRUNCATED: "the file is truncated: it is shorter than it states",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits of a decoder process, and the format of its output."""

    containers: str
    rate_hz: int
    max_s: float  # duration of the longest audio
    decode_s: float  # time limit, including the start of the process

    @property
    def max_samples(self) -> int:
        """Maximum samples per channel: the longest audio, plus the padding of mp3 and AAC."""
        return int((self.max_s + PADDING_S) * self.rate_hz)

    @property
    def max_bytes(self) -> int:
        """Maximum bytes of output from the process."""
        return len(READY) + 1 + self.max_samples * MAX_CHANNELS * SAMPLE_BYTES

    def task(self, size_bytes: int) -> DecodeTask:
        """Return the task for a file of this size. The process holds up to three copies of it."""
        return DecodeTask(
            size_bytes=size_bytes,
            containers=self.containers,
            rate_hz=self.rate_hz,
            max_samples=self.max_samples,
            open_s=self.decode_s,
            cpu_s=max(1, ceil(self.decode_s)),
            memory_bytes=MEMORY_BYTES + 3 * size_bytes,
        )


class DecoderProcesses:
    """Source of decoder processes, one per file. With `spare`, the next one starts in advance."""

    def __init__(self, *, spare: bool = False) -> None:
        self._keep_spare, self._closed = spare, False
        self._spare: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def take(self) -> subprocess.Popen[bytes]:
        """Return a process that waits for a task. Raises OSError.

        Linux kills the process when the calling thread ends.
        """
        with self._lock:
            process, self._spare = self._spare, None
            if process is not None and process.poll() is not None:  # it was killed while idle
                _end(process)
                process = None
            return process or _start()

    def prepare(self) -> None:
        """Start the spare process, if one is kept. Raises OSError."""
        with self._lock:
            if self._keep_spare and not self._closed and self._spare is None:
                self._spare = _start()

    def close(self) -> None:
        """End the spare process and start no other."""
        with self._lock:
            self._closed = True
            if self._spare is not None:
                _end(self._spare)
                self._spare = None


class FileDecoding:
    """Decodes one file. `run` blocks, and any thread may call `cancel` at any time."""

    def __init__(self, data: bytes, limits: DecodeLimits, processes: DecoderProcesses) -> None:
        self._data = data
        self._limits = limits
        self._processes = processes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by: str | None = None  # reason if this class killed the process

    def cancel(self) -> None:
        """Kill the process; `run` raises InvalidAudio."""
        self._kill("the decoding was cancelled")

    def run(self) -> Samples:
        """Return the audio of the file, its channels averaged.

        Raises:
            InvalidAudio: not audio, broken, a video, or the decoder crashed or took too long.
            ReferenceTooLong: the audio is longer than the limit.
            CloningUnavailable: the process cannot be started.
        """
        reason = "the file takes too long to decode"
        timer = threading.Timer(self._limits.decode_s, self._kill, (reason,))
        timer.daemon = True
        try:
            process = self._take_process()
            try:
                timer.start()
                task = self._limits.task(len(self._data)).line()
                output = _exchange(process, task, self._data, self._limits.max_bytes)
            finally:
                _end(process)
                self._processes.prepare()
        except (OSError, RuntimeError) as exc:  # no memory, process, thread or descriptor is left
            log.error("the decoder process cannot be started: %s", exc)
            raise CloningUnavailable(UNAVAILABLE) from exc
        finally:
            timer.cancel()
        return self._result(process.returncode, output)

    def _take_process(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended_by is not None:
                raise InvalidAudio(self._ended_by)
            self._process = self._processes.take()
            return self._process

    def _kill(self, reason: str) -> None:
        with self._lock:
            self._ended_by = self._ended_by or reason
            if self._process is not None:
                self._process.kill()

    def _result(self, status: int, output: bytes) -> Samples:
        """Return the samples in the output of an ended process. Raises as `run` does."""
        if self._ended_by is not None:
            raise InvalidAudio(self._ended_by)
        if not output.startswith(READY):
            log.error("the decoder process failed to start: exit status %d", status)
            raise CloningUnavailable(UNAVAILABLE)
        if status == Verdict.TOO_LONG:
            raise ReferenceTooLong(f"the reference must last at most {self._limits.max_s:g} s")
        if status != Verdict.OK:
            if status not in MESSAGES:
                log.warning("a recording crashed the decoder process: exit status %d", status)
            raise InvalidAudio(MESSAGES.get(status, MESSAGES[Verdict.UNREADABLE]))
        return _mono(output[len(READY) :], self._limits)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        child_command("app.cloning.decoder_process"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the file decides how much FFmpeg writes
        env=child_environment(),
        cwd="/",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process unless it has ended, close its pipes and wait for it."""
    process.kill()
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    with process:
        pass  # closes the other pipe and waits


def _exchange(process: subprocess.Popen[bytes], task: bytes, data: bytes, max_bytes: int) -> bytes:
    """Send a task and its file to the process, and return its output up to `max_bytes`."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(task)
        process.stdin.write(data)
    with suppress(BrokenPipeError):
        process.stdin.close()  # sends the rest of the buffer
    output = process.stdout.read(max_bytes)
    if not process.stdout.read(1):
        process.wait()
    return output


def _mono(output: bytes, limits: DecodeLimits) -> Samples:
    """Return the mean of the channels, whose samples may be NaN.

    FFmpeg's own mix of two channels would be 3 dB louder.
    """
    if not output:
        return np.zeros(0, np.float32)
    channels, size = output[0], len(output) - 1
    if not 1 <= channels <= MAX_CHANNELS or size % (channels * SAMPLE_BYTES):
        raise InvalidAudio(MESSAGES[Verdict.UNREADABLE])
    samples = np.frombuffer(output, np.float32, offset=1).reshape(-1, channels)
    if len(samples) > limits.max_samples:
        raise InvalidAudio(MESSAGES[Verdict.UNREADABLE])
    with np.errstate(all="ignore"):
        return samples.mean(1, dtype=np.float32)
