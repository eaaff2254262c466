"""Reader for WAV files, including streamed ones without sizes in the header."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_TYPES = {
    (1, 16): ("<i2", 32768.0),
    (1, 32): ("<i4", 2147483648.0),
    (3, 32): ("<f4", 1.0),
}  # numpy type and full scale by format tag and bits
EXTENSIBLE = 0xFFFE  # WAVE_FORMAT_EXTENSIBLE: the format tag follows later in the chunk
UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # data sizes that streamed files have


class NotAudio(ValueError):
    """The bytes are not audio of the requested format."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Sample layout: frames of `channels` values of `sample_type`, from byte `offset` to `end`."""

    rate_hz: int
    channels: int = 1
    sample_type: str = "<i2"
    full_scale: float = 32768.0
    offset: int = 0
    end: int | None = None  # None: until the end of the bytes

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame: one value per channel."""
        return self.channels * np.dtype(self.sample_type).itemsize

    def samples(self, body: bytes) -> NDArray[np.float32]:
        """Return mono samples in -1 ... 1, the mean of the channels.

        An incomplete last frame is dropped.
        """
        sound = body[self.offset : self.end]
        values = np.frombuffer(
            sound[: len(sound) // self.frame_bytes * self.frame_bytes], self.sample_type
        )
        return (
            values.reshape(-1, self.channels).mean(axis=1, dtype=np.float64) / self.full_scale
        ).astype(np.float32)


def read_layout(body: bytes) -> Layout:
    """Read the header of a WAV file; raises NotAudio."""
    if body[:4] != b"RIFF" or body[8:12] != b"WAVE":
        raise NotAudio("no WAV header")
    at, form = 12, b""
    while len(body) >= at + 8:
        name, size = struct.unpack_from("<4sI", body, at)
        at += 8
        if name == b"data":
            return _layout(form, at, at + size if size not in UNKNOWN_SIZES else None)
        form = body[at : at + size] if name == b"fmt " else form
        at += size + size % 2
    raise NotAudio("a WAV header without a data chunk")


def _layout(form: bytes, offset: int, end: int | None) -> Layout:
    if len(form) < 16:
        raise NotAudio("a WAV header without a format chunk")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if tag == EXTENSIBLE and len(form) >= 26:
        (tag,) = struct.unpack_from("<H", form, 24)
    if (tag, bits) not in SAMPLE_TYPES or not channels or not rate_hz:
        raise NotAudio(f"unsupported WAV format: tag {tag}, {bits} bits")
    return Layout(rate_hz, channels, *SAMPLE_TYPES[tag, bits], offset, end)
