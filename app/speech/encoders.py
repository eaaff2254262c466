"""Samples into the bytes of an audio format, one encoder per format."""

from __future__ import annotations

import struct
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # (samples,), mono, within [-1, 1]
Format = Literal["wav", "pcm"]
CONTENT_TYPES: dict[Format, str] = {"wav": "audio/wav", "pcm": "audio/pcm"}
UNKNOWN_SIZE = 0xFFFFFFFF  # read as "until the end" by soundfile, wave, scipy, ffmpeg, sox and Chromium
WAV_HEADER_BYTES = 44


class Encoder(Protocol):
    """Samples in, bytes out. `header` holds no samples and stands before everything else."""

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
        return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + fmt + struct.pack("<4sI", b"data", data)


def make_encoder(name: Format, sample_rate_hz: int) -> Encoder:
    """The encoder of a format."""
    return WavEncoder(sample_rate_hz) if name == "wav" else PcmEncoder()
