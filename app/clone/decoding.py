"""One recording on its way through the process that decodes it: started for it alone, limited, and killed."""

from __future__ import annotations

import logging
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

import numpy as np

from app.clone.child import command, environment
from app.clone.decoder import MAX_CHANNELS, READY, SAMPLE_BYTES, Task, Verdict
from app.errors import CloningUnavailable
from app.request_errors import InvalidAudio, ReferenceTooLong
from app.samples import Samples

MEMORY_BYTES = (
    160_000_000  # FFmpeg needs about 30 MB for a file of the longest length in any usual format
)
PADDING_S = 0.1
UNAVAILABLE = "recordings cannot be decoded; the server's log says why"
MESSAGES: dict[int, str] = {  # by the status of the process
    Verdict.UNREADABLE: "the file is not audio that this server can read",
    Verdict.FILM: "the file is a film: send its sound alone",
    Verdict.NO_AUDIO: "the file holds no audio",
    Verdict.UNKNOWN_CODEC: "the audio's codec is unknown here",
    Verdict.UNSUPPORTED: f"the audio must have 8 to 192 kHz and at most {MAX_CHANNELS} channels",
    Verdict.TRUNCATED: "the file ends before the length that it states",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The limits of one decoder process, and the sound that is asked of it."""

    containers: str
    rate_hz: int
    longest_s: float  # of sound
    decode_s: float  # of time, the start of the process included

    @property
    def most_samples(self) -> int:
        """The most samples of one channel: the longest sound, and what mp3 and AAC may add to both ends."""
        return int((self.longest_s + PADDING_S) * self.rate_hz)

    @property
    def most_bytes(self) -> int:
        """The most bytes that the process may say."""
        return len(READY) + 1 + self.most_samples * MAX_CHANNELS * SAMPLE_BYTES

    def task(self, size_bytes: int) -> Task:
        """The task for a file of that size, of which the process holds three copies at most."""
        return Task(
            size_bytes=size_bytes,
            containers=self.containers,
            rate_hz=self.rate_hz,
            most_samples=self.most_samples,
            open_s=self.decode_s,
            cpu_s=max(1, ceil(self.decode_s)),
            memory_bytes=MEMORY_BYTES + 3 * size_bytes,
        )


class Processes:
    """Decoder processes, one for each file. With `spare` the next one starts when one has ended."""

    def __init__(self, *, spare: bool = False) -> None:
        self._keeps_spare, self._closed = spare, False
        self._spare: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def take(self) -> subprocess.Popen[bytes]:
        """A process that waits for a task; raises OSError. Linux kills it when the calling thread ends."""
        with self._lock:
            process, self._spare = self._spare, None
            if (
                process is not None and process.poll() is not None
            ):  # it was idle, and something has killed it
                _end(process)
                process = None
            return process or _start()

    def prepare(self) -> None:
        """Have the next one start, where one is kept; raises OSError."""
        with self._lock:
            if self._keeps_spare and not self._closed and self._spare is None:
                self._spare = _start()

    def close(self) -> None:
        """End the spare one; no other is kept."""
        with self._lock:
            self._closed = True
            if self._spare is not None:
                _end(self._spare)
                self._spare = None


class Decoding:
    """One file being decoded. `run` blocks; `cancel` may be called from any thread, before, meanwhile and after."""

    def __init__(self, data: bytes, limits: DecodeLimits, processes: Processes) -> None:
        self._data, self._limits, self._processes = data, limits, processes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_by: str | None = None  # the reason, where this class has killed the process

    def cancel(self) -> None:
        """Kill the process; `run` raises InvalidAudio."""
        self._kill("the decoding was cancelled")

    def run(self) -> Samples:
        """The sound of the file, its channels averaged.

        Raises:
            InvalidAudio: not sound, broken, a film, or something on which the decoder crashes or takes too long.
            ReferenceTooLong: more sound than the limits allow.
            CloningUnavailable: the process cannot be started.
        """
        timer = threading.Timer(
            self._limits.decode_s, self._kill, ("the file takes too long to decode",)
        )
        timer.daemon = True
        try:
            process = self._take()
            try:
                timer.start()
                task = self._limits.task(len(self._data)).line()
                output = _exchange(process, task, self._data, self._limits.most_bytes)
            finally:
                _end(process)
                self._processes.prepare()
        except (OSError, RuntimeError) as exc:  # no memory, process, thread or descriptor is left
            log.error("the decoder of recordings cannot be started: %s", exc)
            raise CloningUnavailable(UNAVAILABLE) from exc
        finally:
            timer.cancel()
        return self._sound(process.returncode, output)

    def _take(self) -> subprocess.Popen[bytes]:
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

    def _sound(self, status: int, output: bytes) -> Samples:
        """The samples in the output of a process that ended with `status`; raises what `run` does."""
        if self._ended_by is not None:
            raise InvalidAudio(self._ended_by)
        if not output.startswith(READY):
            log.error("the decoder of recordings does not start: it ends with status %d", status)
            raise CloningUnavailable(UNAVAILABLE)
        if status == Verdict.TOO_LONG:
            raise ReferenceTooLong(f"the reference must last at most {self._limits.longest_s:g} s")
        if status != Verdict.SOUND:
            if status not in MESSAGES:
                log.warning("a recording ended its decoder with status %d", status)
            raise InvalidAudio(MESSAGES.get(status, MESSAGES[Verdict.UNREADABLE]))
        return _averaged(output[len(READY) :], self._limits)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("app.clone.decoder"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # FFmpeg writes as much as the file makes it write
        env=environment(),
        cwd="/",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, unless it has ended, and let go of it."""
    process.kill()
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    with process:
        pass  # it closes the other pipe, and waits


def _exchange(process: subprocess.Popen[bytes], task: bytes, data: bytes, most_bytes: int) -> bytes:
    """Send a task and its file to the process, and receive what it says until it ends, or has said too much."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(task)
        process.stdin.write(data)
    with suppress(BrokenPipeError):
        process.stdin.close()  # it sends the rest
    output = process.stdout.read(most_bytes)
    if not process.stdout.read(1):
        process.wait()
    return output


def _averaged(output: bytes, limits: DecodeLimits) -> Samples:
    """The mean of the channels, since FFmpeg's own mix of two is 3 dB louder. Samples may be no numbers."""
    if not output:
        return np.zeros(0, np.float32)
    channels, size = output[0], len(output) - 1
    if not 1 <= channels <= MAX_CHANNELS or size % (channels * SAMPLE_BYTES):
        raise InvalidAudio(MESSAGES[Verdict.UNREADABLE])
    samples = np.frombuffer(output, np.float32, offset=1).reshape(-1, channels)
    if len(samples) > limits.most_samples:
        raise InvalidAudio(MESSAGES[Verdict.UNREADABLE])
    with np.errstate(all="ignore"):
        return samples.mean(1, dtype=np.float32)
