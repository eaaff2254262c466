"""A reference recording: whatever was uploaded, as mono sound at the encoder's rate, or a clear refusal.

The bytes come from anybody. So the containers are those of a list and no protocol is allowed (a
playlist would make FFmpeg read this machine's files), a stated length is believed only where it speaks
against the file, and decoding stops at the longest length or at its time limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from app.request_errors import InvalidAudio, ReferenceSilent, ReferenceTooLong, ReferenceTooShort
from app.samples import Samples

RATE_HZ = 16_000  # what NeuCodec's encoder hears
CONTAINERS = "wav,mp3,flac,ogg,mov,matroska,aac,aiff"  # webm is matroska, m4a and mp4 are mov
ESTIMATED = {"mp3", "aac"}  # their length is FFmpeg's guess from the first frames
RATES_HZ = range(8_000, 192_001)
MAX_CHANNELS = 8
UNKNOWN_BYTES = 0x7FFF0000  # a WAV that was streamed states this much, or more
MAX_BAD_PACKETS = 3  # an mp3 cut from a stream begins with part of a frame
PADDING_S = 0.1  # that mp3 and AAC may add to both ends
SILENT_RMS = 10 ** (-50 / 20)  # of the loudest 100 ms


@dataclass(frozen=True, slots=True)
class ReferenceLimits:
    """What a reference may be."""

    min_s: float = 1.0
    max_s: float = 20.0
    decode_s: float = 10.0  # of working time; 20 s of sound take some 20 ms


def decode_reference(data: bytes, limits: ReferenceLimits) -> Samples:
    """The sound of an uploaded file, at 16 kHz.

    Raises:
        InvalidAudio: not sound, not in a container of ours, broken, or a film.
        ReferenceTooShort, ReferenceTooLong, ReferenceSilent: sound that cannot serve.
    """
    try:
        samples = _decode(data, limits)
    except (FFmpegError, ValueError, OverflowError) as exc:
        raise InvalidAudio("the file is not audio that this server can read") from exc
    if len(samples) < limits.min_s * RATE_HZ:
        raise ReferenceTooShort(f"the reference must last at least {limits.min_s:g} s")
    if not np.isfinite(samples).all():
        raise InvalidAudio("the file holds samples that are not numbers")
    if _loudest_rms(samples) < SILENT_RMS:
        raise ReferenceSilent("the reference is silent")
    return np.clip(samples, -1, 1)


def _decode(data: bytes, limits: ReferenceLimits) -> Samples:
    with av.open(
        BytesIO(data),
        "r",
        metadata_errors="ignore",
        container_options={"format_whitelist": CONTAINERS, "protocol_whitelist": "none"},
        timeout=limits.decode_s,
    ) as container:
        parts: list[Samples] = []
        length = 0
        for frame in _resampled(container, time.monotonic() + limits.decode_s):
            parts.append(frame.to_ndarray().mean(0, dtype=np.float32))  # FFmpeg's own mix of two is 3 dB louder
            length += len(parts[-1])
            if length > (limits.max_s + PADDING_S) * RATE_HZ:
                raise ReferenceTooLong(f"the reference must last at most {limits.max_s:g} s")
        if length < _least_samples(container) or _lacks_data(data):
            raise InvalidAudio("the file ends before the length that it states")
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _resampled(container: InputContainer, ends_s: float) -> Iterator[AudioFrame]:
    """Frames at 16 kHz, until the clock says `ends_s`."""
    resampler = AudioResampler(format="fltp", rate=RATE_HZ)
    for frame in _frames(container, _stream(container)):
        if time.monotonic() > ends_s:
            raise InvalidAudio("the file takes too long to decode")
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _stream(container: InputContainer) -> AudioStream:
    pictures = Disposition.attached_pic | Disposition.still_image
    if not all(stream.disposition & pictures for stream in container.streams.video):
        raise InvalidAudio("the file is a film: send its sound alone")
    if not container.streams.audio:
        raise InvalidAudio("the file holds no audio")
    stream = container.streams.audio[0]
    if stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison]  # PyAV's stubs do not know it
        raise InvalidAudio("the audio's codec is unknown here")
    if stream.rate not in RATES_HZ or not 1 <= stream.channels <= MAX_CHANNELS:
        raise InvalidAudio(f"the audio must have 8 to 192 kHz and at most {MAX_CHANNELS} channels")
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


def _least_samples(container: InputContainer) -> float:
    """What must have come if the file is whole; 0 where it does not say, or only FFmpeg does."""
    if container.duration is None or container.format.name in ESTIMATED:
        return 0
    return (0.9 * container.duration / av.time_base - 0.25) * RATE_HZ


def _lacks_data(data: bytes) -> bool:
    """Whether a WAV states more data than there is; FFmpeg takes the length of what there is."""
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


def _loudest_rms(samples: Samples) -> float:
    block = RATE_HZ // 10
    blocks = samples[: len(samples) // block * block].reshape(-1, block).astype(np.float64)
    return float(np.sqrt((blocks**2).mean(1)).max(initial=0))
