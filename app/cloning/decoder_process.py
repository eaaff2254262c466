"""Decoding of untrusted recordings with FFmpeg, in a process without other rights.

`main` runs in that process (see `app.cloning.decoding`). It reads a task and a file from stdin,
writes the samples to stdout and exits with a status. A crash, an endless loop or a lack of memory
ends this process alone. It imports neither numpy nor torch, so that it starts in 0.1 s.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from enum import IntEnum
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import av
import av.logging
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from app.child_process import die_with_parent

READY = b"R"  # first byte of the output; the file causes any failure after it
SAMPLE_BYTES = 4  # float32
MAX_CHANNELS = 8
RATES_HZ = range(8_000, 192_001)
ESTIMATED = {"mp3", "aac"}  # formats whose length FFmpeg estimates from the first frames
UNKNOWN_BYTES = 0x7FFF0000  # a streamed WAV states this size or more
MAX_DESCRIPTORS = 16  # PyAV imports some of its modules when a stream needs them
MAX_BAD_PACKETS = 3  # an mp3 cut from a stream begins with a partial frame


class Verdict(IntEnum):
    """Exit statuses of the process. Python itself exits with 1 or 2, a signal is negative."""

    OK = 0
    UNREADABLE = 10
    VIDEO = 11
    NO_AUDIO = 12
    UNKNOWN_CODEC = 13
    UNSUPPORTED = 14
    TRUNCATED = 15
    TOO_LONG = 16


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """A file to decode, and the limits of its process."""

    size_bytes: int
    containers: str  # names of FFmpeg's demuxers, separated by commas
    rate_hz: int
    max_samples: int  # per channel
    open_s: float  # time limit for FFmpeg to open the file
    cpu_s: int  # CPU time limit of the process
    memory_bytes: int

    def line(self) -> bytes:
        """Return the task as one line for the process."""
        return " ".join(map(str, astuple(self))).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> DecodeTask:
        """Parse a line written by `line`."""
        size, containers, rate, samples, open_s, cpu_s, memory = line.decode().split()
        return cls(
            int(size), containers, int(rate), int(samples), float(open_s), int(cpu_s), int(memory)
        )


class Rejected(Exception):
    """Raised for a file that is not a usable recording."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.name)
        self.verdict = verdict


def main() -> None:
    """Decode the file that follows a task on stdin, write it to stdout and exit with a Verdict.

    Output: READY, the number of channels in one byte, and interleaved float32 samples.
    """
    av.logging.set_level(av.logging.PANIC)
    die_with_parent()
    source, output = sys.stdin.buffer, sys.stdout.buffer
    if not (line := source.readline()):
        os._exit(Verdict.OK)  # stdin was closed without a task
    task = DecodeTask.parse(line)
    limit_process(task)
    output.write(READY)
    output.flush()
    verdict = Verdict.OK
    try:
        decode(source.read(task.size_bytes), task, output)
        output.flush()
    except Rejected as rejection:
        verdict = rejection.verdict
    except (FFmpegError, ValueError, OverflowError, MemoryError):
        verdict = Verdict.UNREADABLE
    os._exit(verdict)  # without running FFmpeg's destructors


def limit_process(task: DecodeTask) -> None:
    """Limit memory, CPU time, descriptors, written files and core dumps of this process."""
    os.nice(5)  # lower priority than speech
    if sys.platform == "linux":
        with suppress(OSError):  # the kernel kills this process first if memory is short
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        with suppress(OSError):  # FFmpeg's filters start a thread with 8 MB of stack per core
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})
    _limit(resource.RLIMIT_DATA, task.memory_bytes)
    _limit(resource.RLIMIT_CPU, task.cpu_s)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def decode(data: bytes, task: DecodeTask, output: BinaryIO) -> None:
    """Write the samples of a file to `output`.

    Raises:
        Rejected: the file is not a usable recording.
        FFmpegError, ValueError, OverflowError, MemoryError: the file is not audio, or is broken.
    """
    with av.open(
        BytesIO(data),
        "r",
        metadata_errors="ignore",
        container_options={"format_whitelist": task.containers, "protocol_whitelist": "none"},
        timeout=task.open_s,
    ) as container:
        samples = 0
        for frame in _of_one_format(_resampled(container, task.rate_hz)):
            if not samples:
                output.write(bytes([frame.layout.nb_channels]))
            samples += frame.samples
            if samples > task.max_samples:
                raise Rejected(Verdict.TOO_LONG)
            output.write(_interleaved(frame))
        if samples < _min_samples(container, task.rate_hz) or _is_truncated_wav(data):
            raise Rejected(Verdict.TRUNCATED)


def _resampled(container: InputContainer, rate_hz: int) -> Iterator[AudioFrame]:
    """Yield interleaved frames at this rate.

    Interleaved frames have one plane. With planar frames, PyAV reads beyond FFmpeg's eight planes.
    """
    # It raises ValueError if the format of the input changes.
    resampler = AudioResampler(format="flt", rate=rate_hz)
    for frame in _frames(container, _stream(container)):
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _of_one_format(frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    """Yield frames that have samples. Raise Rejected if rate, format or channels change."""
    known: tuple[str, int, int] | None = None
    for frame in frames:
        kind = (frame.format.name, frame.sample_rate, frame.layout.nb_channels)
        known = known or kind
        if kind != known or not 1 <= frame.layout.nb_channels <= MAX_CHANNELS:
            raise Rejected(Verdict.UNSUPPORTED)
        if frame.samples > 0:
            yield frame


def _interleaved(frame: AudioFrame) -> memoryview:
    """Return the samples of an interleaved frame. Raises ValueError if its plane is too short."""
    size = frame.samples * frame.layout.nb_channels * SAMPLE_BYTES
    plane = memoryview(frame.planes[0])
    if plane.nbytes < size:
        raise ValueError("the plane of a frame lacks samples")
    return plane[:size]


def _stream(container: InputContainer) -> AudioStream:
    pictures = Disposition.attached_pic | Disposition.still_image
    if not all(stream.disposition & pictures for stream in container.streams.video):
        raise Rejected(Verdict.VIDEO)
    if not container.streams.audio:
        raise Rejected(Verdict.NO_AUDIO)
    stream = container.streams.audio[0]
    # It may be None, unlike in PyAV's stubs.
    if stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise Rejected(Verdict.UNKNOWN_CODEC)
    if stream.rate not in RATES_HZ or not 1 <= stream.channels <= MAX_CHANNELS:
        raise Rejected(Verdict.UNSUPPORTED)
    stream.codec_context.thread_count = 1
    return stream


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except FFmpegError:
            bad += 1
            if bad > MAX_BAD_PACKETS:
                raise
            continue
        yield from frames


def _min_samples(container: InputContainer, rate_hz: int) -> float:
    """Return the minimum samples of a complete file, or 0 without a reliable length."""
    if container.duration is None or container.format.name in ESTIMATED:
        return 0
    return (0.9 * container.duration / av.time_base - 0.25) * rate_hz


def _is_truncated_wav(data: bytes) -> bool:
    """True if a WAV states more data than it has, which FFmpeg does not report."""
    if data[:4] != b"RIFF":
        return False
    at = 12
    while data[at : at + 4] != b"data":
        if at >= len(data):
            return False
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    stated = int.from_bytes(data[at + 4 : at + 8], "little")
    return 1.1 * (len(data) - at - 8) + 4_000 < stated < UNKNOWN_BYTES
