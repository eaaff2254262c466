"""The decoder of recordings: FFmpeg on the bytes of a stranger, in a process that can do nothing else.

`main` runs in that process (see `app.clone.decoding`): it reads a task and a file from its input, writes the samples to
its output and ends with a status. A crash, a loop or a lack of memory ends this process alone. It imports neither numpy
nor torch, so that it starts in a tenth of a second.
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

from app.clone.child import die_with_the_service

READY = b"R"  # the first byte of the output: from here on a failure is the file's
SAMPLE_BYTES = 4  # float32
MAX_CHANNELS = 8
RATES_HZ = range(8_000, 192_001)
ESTIMATED = {"mp3", "aac"}  # their length is FFmpeg's guess from the first frames
UNKNOWN_BYTES = 0x7FFF0000  # a WAV that was streamed states this much, or more
MAX_DESCRIPTORS = 16  # PyAV reads some of its modules when a stream needs them
MAX_BAD_PACKETS = 3  # an mp3 cut from a stream begins with part of a frame


class Verdict(IntEnum):
    """Exit statuses of the process. Python itself ends with 1 or 2, a signal gives a negative one."""

    SOUND = 0
    UNREADABLE = 10
    FILM = 11
    NO_AUDIO = 12
    UNKNOWN_CODEC = 13
    UNSUPPORTED = 14
    TRUNCATED = 15
    TOO_LONG = 16


@dataclass(frozen=True, slots=True)
class Task:
    """A file to decode, and the limits of the process that does it."""

    size_bytes: int
    containers: str  # names of FFmpeg's demuxers, separated by commas
    rate_hz: int
    most_samples: int  # of each channel
    open_s: float  # longest time in which FFmpeg opens the file
    cpu_s: int
    memory_bytes: int

    def line(self) -> bytes:
        """The task as the process reads it."""
        return " ".join(map(str, astuple(self))).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Task:
        """The task that `line` wrote."""
        size, containers, rate, samples, open_s, cpu_s, memory = line.decode().split()
        return cls(
            int(size), containers, int(rate), int(samples), float(open_s), int(cpu_s), int(memory)
        )


class Refused(Exception):
    """The file is not a recording that can serve."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.name)
        self.verdict = verdict


def main() -> None:
    """Decode the file that follows a task on stdin, write it to stdout, and end the process with a Verdict.

    Output: READY, the number of channels in one byte, and float32 samples of all channels, interleaved.
    """
    av.logging.set_level(av.logging.PANIC)
    die_with_the_service()
    source, output = sys.stdin.buffer, sys.stdout.buffer
    if not (line := source.readline()):
        os._exit(Verdict.SOUND)  # there is no file, and will be none
    task = Task.of(line)
    confine(task)
    output.write(READY)
    output.flush()
    verdict = Verdict.SOUND
    try:
        decode(source.read(task.size_bytes), task, output)
        output.flush()
    except Refused as refused:
        verdict = refused.verdict
    except (FFmpegError, ValueError, OverflowError, MemoryError):
        verdict = Verdict.UNREADABLE
    os._exit(verdict)  # without a destructor of FFmpeg's


def confine(task: Task) -> None:
    """Give up files, descriptors, core dumps, and more memory and time than the task needs."""
    os.nice(5)  # speech goes first
    if sys.platform == "linux":
        with suppress(OSError):  # where memory is short, this process ends, and not the service
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        with suppress(OSError):  # FFmpeg's filters start a thread with 8 MB of stack for each core
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})
    _limit(resource.RLIMIT_DATA, task.memory_bytes)
    _limit(resource.RLIMIT_CPU, task.cpu_s)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_DESCRIPTORS)


def _limit(kind: int, most: int) -> None:
    hard = resource.getrlimit(kind)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def decode(data: bytes, task: Task, output: BinaryIO) -> None:
    """Write the samples of a file.

    Raises:
        Refused: a file that cannot serve.
        FFmpegError, ValueError, OverflowError, MemoryError: not sound, or broken.
    """
    with av.open(
        BytesIO(data),
        "r",
        metadata_errors="ignore",
        container_options={"format_whitelist": task.containers, "protocol_whitelist": "none"},
        timeout=task.open_s,
    ) as container:
        samples = 0
        for frame in _alike(_resampled(container, task.rate_hz)):
            if not samples:
                output.write(bytes([frame.layout.nb_channels]))
            samples += frame.samples
            if samples > task.most_samples:
                raise Refused(Verdict.TOO_LONG)
            output.write(_interleaved(frame))
        if samples < _least_samples(container, task.rate_hz) or _lacks_data(data):
            raise Refused(Verdict.TRUNCATED)


def _resampled(container: InputContainer, rate_hz: int) -> Iterator[AudioFrame]:
    """Frames at that rate, in one plane: PyAV reads past the eight planes that FFmpeg has for eight channels."""
    resampler = AudioResampler(
        format="flt", rate=rate_hz
    )  # raises ValueError where the input's format changes
    for frame in _frames(container, _stream(container)):
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _alike(frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    """The frames that hold samples; all have the rate, the format and the channels of the first."""
    known: tuple[str, int, int] | None = None
    for frame in frames:
        kind = (frame.format.name, frame.sample_rate, frame.layout.nb_channels)
        known = known or kind
        if kind != known or not 1 <= frame.layout.nb_channels <= MAX_CHANNELS:
            raise Refused(Verdict.UNSUPPORTED)
        if frame.samples > 0:
            yield frame


def _interleaved(frame: AudioFrame) -> memoryview:
    """The samples of a frame in one plane; raises ValueError where the plane is shorter than they are."""
    size = frame.samples * frame.layout.nb_channels * SAMPLE_BYTES
    plane = memoryview(frame.planes[0])
    if plane.nbytes < size:
        raise ValueError("a plane without all its samples")
    return plane[:size]


def _stream(container: InputContainer) -> AudioStream:
    pictures = Disposition.attached_pic | Disposition.still_image
    if not all(stream.disposition & pictures for stream in container.streams.video):
        raise Refused(Verdict.FILM)
    if not container.streams.audio:
        raise Refused(Verdict.NO_AUDIO)
    stream = container.streams.audio[0]
    if stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]  # PyAV's stubs do not know it
        raise Refused(Verdict.UNKNOWN_CODEC)
    if stream.rate not in RATES_HZ or not 1 <= stream.channels <= MAX_CHANNELS:
        raise Refused(Verdict.UNSUPPORTED)
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


def _least_samples(container: InputContainer, rate_hz: int) -> float:
    """The samples of a file that is whole; 0 where it does not say how many, or only FFmpeg does."""
    if container.duration is None or container.format.name in ESTIMATED:
        return 0
    return (0.9 * container.duration / av.time_base - 0.25) * rate_hz


def _lacks_data(data: bytes) -> bool:
    """True for a WAV that states more data than there is; FFmpeg takes the length of what there is."""
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
