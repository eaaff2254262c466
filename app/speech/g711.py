"""G.711, the telephone's eight bits a sample: mu-law and A-law, raw and in a WAV file."""

from __future__ import annotations

import struct
from typing import Literal

from app.speech.compressed import CompressedEncoder

Law = Literal["pcm_mulaw", "pcm_alaw"]
RATE_HZ = 8_000  # where nobody asks for another
TAGS: dict[Law, int] = {"pcm_mulaw": 7, "pcm_alaw": 6}  # WAVE_FORMAT_MULAW and _ALAW
RTP_TYPES: dict[Law, str] = {"pcm_mulaw": "audio/PCMU", "pcm_alaw": "audio/PCMA"}
BASIC = "audio/basic"  # by RFC 2046 mu-law of one channel at 8,000 Hz, and nothing else
UNKNOWN_SIZE = 0xFFFFFFFF
HEADER_BYTES = 58


def content_type(law: Law, rate_hz: int) -> str:
    """The media type of raw samples."""
    if law == "pcm_mulaw" and rate_hz == RATE_HZ:
        return BASIC
    return f"{RTP_TYPES[law]};rate={rate_hz}"


class G711WavEncoder(CompressedEncoder):
    """RIFF WAVE with one byte a sample."""

    def __init__(self, law: Law, rate_hz: int, *, whole: bool) -> None:
        """A `whole` body of an odd length is padded, as RIFF wants it; in a stream the byte would be heard."""
        super().__init__(law, rate_hz, whole=False)
        self._tag, self._pads = TAGS[law], whole
        self._padding = b""

    def header(self, body_bytes: int | None) -> bytes:
        """58 bytes; sizes and the number of samples are 0xFFFFFFFF where the body's size is unknown."""
        rate = self._rate_hz
        data = UNKNOWN_SIZE if body_bytes is None else body_bytes - len(self._padding)
        riff = UNKNOWN_SIZE if body_bytes is None else body_bytes + HEADER_BYTES - 8
        fmt = struct.pack("<4sIHHIIHHH", b"fmt ", 18, self._tag, 1, rate, rate, 1, 8, 0)
        fact = struct.pack("<4sII", b"fact", 4, data)
        return (
            struct.pack("<4sI4s", b"RIFF", riff, b"WAVE")
            + fmt
            + fact
            + struct.pack("<4sI", b"data", data)
        )

    def finish(self) -> bytes:
        """The byte that makes an odd length even."""
        rest = super().finish()
        self._padding = b"\0" if self._pads and self._fed % 2 else b""
        return rest + self._padding
