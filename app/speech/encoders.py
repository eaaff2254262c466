"""Samples into the bytes of an audio format, one encoder per format."""

from __future__ import annotations

import struct
from typing import Protocol

import numpy as np

from app.samples import Samples
from app.setting_types import Encoding, Format
from app.speech import g711
from app.speech.compressed import COMPRESSIONS, CompressedEncoder

CONTENT_TYPES: dict[Format, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
MEDIA_TYPES = (*CONTENT_TYPES.values(), g711.BASIC, *g711.RTP_TYPES.values())
LOSSLESS = ("wav", "pcm", "flac")
UNCOMPRESSED = ("wav", "pcm")
UNKNOWN_SIZE = (
    0xFFFFFFFF  # read as "until the end" by soundfile, wave, scipy, ffmpeg, sox and Chromium
)
WAV_HEADER_BYTES = 44


class Encoder(Protocol):
    """Samples in, bytes out. `header` holds no samples and stands before everything else."""

    @property
    def delay_samples(self) -> int:
        """Samples that may be held back until more come."""
        ...

    def header(self, body_bytes: int | None) -> bytes:
        """The bytes before the body, whose size is None while streaming."""
        ...

    def feed(self, samples: Samples) -> bytes:
        """The body bytes that these samples complete."""
        ...

    def finish(self) -> bytes:
        """The rest of the body."""
        ...


class PcmEncoder:
    """Signed 16-bit little-endian samples, no header."""

    delay_samples = 0

    def header(self, body_bytes: int | None) -> bytes:
        """Nothing: the format is told by the response's headers."""
        return b""

    def feed(self, samples: Samples) -> bytes:
        """Two bytes a sample, rounded to the nearest step and clipped at full scale."""
        steps = samples * np.float32(32767)
        np.rint(steps, out=steps)
        np.clip(steps, -32768, 32767, out=steps)
        return steps.astype("<i2").tobytes()

    def finish(self) -> bytes:
        """Nothing is kept back."""
        return b""


class WavEncoder(PcmEncoder):
    """RIFF WAVE with 16-bit PCM."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._sample_rate_hz = sample_rate_hz

    def header(self, body_bytes: int | None) -> bytes:
        """44 bytes; both sizes are 0xFFFFFFFF where the body's is unknown."""
        rate = self._sample_rate_hz
        data = UNKNOWN_SIZE if body_bytes is None else body_bytes
        riff = UNKNOWN_SIZE if body_bytes is None else body_bytes + WAV_HEADER_BYTES - 8
        fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
        return (
            struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + struct.pack("<4sI", b"data", data)
        )


def carries(name: Format, sample_rate_hz: int) -> bool:
    """Whether a format can hold sound of this rate."""
    rates_hz = COMPRESSIONS[name].rates_hz if name in COMPRESSIONS else ()
    return not rates_hz or sample_rate_hz in rates_hz


def content_type(name: Format, encoding: Encoding, sample_rate_hz: int) -> str:
    """The media type of a format; of raw samples it tells their encoding."""
    if name == "pcm" and encoding != "pcm_s16le":
        return g711.content_type(encoding, sample_rate_hz)
    return CONTENT_TYPES[name]


def make_encoder(
    name: Format, sample_rate_hz: int, *, encoding: Encoding = "pcm_s16le", whole: bool = False
) -> Encoder:
    """The encoder of a format, for a stream or for a body that leaves in one piece; `encoding` is wav's and pcm's."""
    if name in COMPRESSIONS:
        return CompressedEncoder(name, sample_rate_hz, whole=whole)
    if encoding == "pcm_s16le":
        return WavEncoder(sample_rate_hz) if name == "wav" else PcmEncoder()
    if name == "wav":
        return g711.G711WavEncoder(encoding, sample_rate_hz, whole=whole)
    return CompressedEncoder(encoding, sample_rate_hz, whole=False)
