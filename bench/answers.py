"""Answers of two services to the same request, compared byte by byte and sample by sample."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

RAW_FORMATS = {"pcm_s16le": "s16le", "pcm_mulaw": "mulaw", "pcm_alaw": "alaw"}
# An error of one 16-bit step in every sample is 74 dB below speech of -16 dBFS.
ROUNDING_DB = 70.0
EXCERPT = 160  # characters
OGG_PAGE = b"OggS"
# Bytes of the serial number and of the checksum in the header of an Ogg page (RFC 3533, section 6).
OGG_SERIAL = slice(14, 18)
OGG_CHECKSUM = slice(22, 26)
OGG_SEGMENTS = 26  # byte with the number of segments, whose lengths follow


@dataclass(frozen=True, slots=True)
class Answer:
    """The audio of an answer, one body for each utterance, and the rest by name."""

    audio: tuple[bytes, ...] = ()
    facts: dict[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one request.

    Attributes:
        facts: differing statuses, headers, messages and engine requests by name, each with an
            excerpt of both values from shortly before the first difference.
        first_byte: index of the first differing byte after masking; None if all are equal.
        samples: number of samples of both answers; None if not decoded.
        first_sample: index of the first differing sample; None if all are equal.
        snr_db: signal-to-noise ratio of the new samples; None if equal or not decoded.
    """

    bytes: tuple[int, int]
    facts: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    first_byte: int | None = None
    samples: tuple[int, int] | None = None
    first_sample: int | None = None
    snr_db: float | None = None

    @property
    def kind(self) -> str:
        """`identical`, `same samples` (in other bytes), `rounding`, `different` or `no audio`."""
        if self.facts:
            return "different"
        if self.bytes == (0, 0):
            return "no audio"
        if self.first_byte is None:
            return "identical"
        if self.samples is None or self.samples[0] != self.samples[1]:
            return "different"
        if self.first_sample is None:
            return "same samples"
        return "rounding" if (self.snr_db or -math.inf) >= ROUNDING_DB else "different"


def compare(old: Answer, new: Answer, fields: Mapping[str, object]) -> Comparison:
    """Compare the answers to a request with these fields."""
    facts = {
        name: _excerpts(str(old.facts.get(name)), str(new.facts.get(name)))
        for name in sorted({*old.facts, *new.facts})
        if old.facts.get(name) != new.facts.get(name)
    }
    before = b"".join(map(mask, old.audio))
    after = b"".join(map(mask, new.audio))
    sizes = len(before), len(after)
    if before == after:
        return Comparison(sizes, facts)
    first_byte = _first_difference(np.frombuffer(before, np.uint8), np.frombuffer(after, np.uint8))
    try:
        signal, other = decode(old.audio, fields), decode(new.audio, fields)
    except (FFmpegError, IndexError):
        return Comparison(sizes, facts, first_byte)
    return Comparison(
        sizes,
        facts,
        first_byte,
        (len(signal), len(other)),
        _first_difference(signal, other),
        snr_db(signal, other),
    )


def _excerpts(old: str, new: str) -> tuple[str, str]:
    shorter = min(len(old), len(new))
    first = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    start = max(0, first - EXCERPT // 4)
    return old[start : start + EXCERPT], new[start : start + EXCERPT]


def _first_difference(old: NDArray[np.generic], new: NDArray[np.generic]) -> int | None:
    """Return the first index at which two arrays differ, or the shorter length; None if equal."""
    shorter = min(len(old), len(new))
    indexes = np.flatnonzero(old[:shorter] != new[:shorter])
    if len(indexes):
        return int(indexes[0])
    return None if len(old) == len(new) else shorter


def snr_db(signal: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Return the signal-to-noise ratio of `other`, over the samples that both have.

    None if they are equal there, or one of the arrays is empty.
    """
    shorter = min(len(signal), len(other))
    noise = float(np.square(signal[:shorter] - other[:shorter]).sum())
    if noise == 0:
        return None
    power = float(np.square(signal[:shorter]).sum())
    return round(10 * math.log10(power / noise), 1) if power else -math.inf


def mask(body: bytes) -> bytes:
    """Return a body without its random bytes.

    Ogg is the only container with any: ffmpeg draws the serial number of a stream at random, and
    the checksum of each page includes it. Both are set to 0 here. The granule positions, lengths
    and packets of the pages stay.
    """
    if not body.startswith(OGG_PAGE):
        return body
    masked = bytearray(body)
    start = 0
    while masked.startswith(OGG_PAGE, start) and start + OGG_SEGMENTS < len(masked):
        header = memoryview(masked)[start:]
        header[OGG_SERIAL] = header[OGG_CHECKSUM] = bytes(4)
        lengths = start + OGG_SEGMENTS + 1
        packets = lengths + masked[lengths - 1]
        start = packets + sum(masked[lengths:packets])
        header.release()
    return bytes(masked)


def decode(bodies: tuple[bytes, ...], fields: Mapping[str, object]) -> NDArray[np.float64]:
    """Return the samples of bodies in the format of a request, one body after the other.

    Raises:
        av.error.FFmpegError, IndexError: a body is not audio of that format.
    """
    raw = fields.get("response_format", "pcm") == "pcm"
    layout = RAW_FORMATS[str(fields.get("encoding", "pcm_s16le"))] if raw else None
    blocks = [np.zeros(0)]
    for body in bodies:
        with av.open(io.BytesIO(body), "r", format=layout) as container:
            stream = container.streams.audio[0]
            converter = av.AudioResampler(format="dbl", layout="mono")
            for frame in container.decode(stream):
                blocks += [block.to_ndarray()[0] for block in converter.resample(frame)]
    return np.concatenate(blocks)
