"""Decoding of an uploaded reference to mono audio at the encoder's rate, or its rejection.

The bytes are untrusted. They are decoded in a separate process (see `app.cloning.decoding`). Only
listed containers and no protocols are allowed, because a playlist would make FFmpeg read this
machine's files. A stated length is used only to reject a file. Decoding stops at the longest length
and at limits of time and memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.audio.samples import Samples
from app.cloning.decoding import DecodeLimits, DecoderProcesses, FileDecoding
from app.errors import InvalidAudio, ReferenceSilent, ReferenceTooShort

RATE_HZ = 16_000  # input rate of NeuCodec's encoder
CONTAINERS = "wav,mp3,flac,ogg,mov,matroska,aac,aiff"  # webm is matroska, m4a and mp4 are mov
SILENT_RMS = 10 ** (-50 / 20)  # -50 dBFS in the loudest 100 ms


@dataclass(frozen=True, slots=True)
class ReferenceLimits:
    """Limits of a reference, in seconds."""

    min_s: float = 1.0
    max_s: float = 20.0
    decode_s: float = 10.0  # 20 s of audio take 20 ms, the start of the process 150 ms


def decode_reference(data: bytes, limits: ReferenceLimits) -> Samples:
    """Return the audio of an uploaded file at 16 kHz; see `ReferenceDecoding.run`."""
    return ReferenceDecoding(data, limits, DecoderProcesses()).run()


class ReferenceDecoding:
    """Decodes an uploaded file. Any thread may call `cancel` at any time."""

    def __init__(self, data: bytes, limits: ReferenceLimits, processes: DecoderProcesses) -> None:
        self._limits = limits
        self._decoding = FileDecoding(
            data, DecodeLimits(CONTAINERS, RATE_HZ, limits.max_s, limits.decode_s), processes
        )

    def cancel(self) -> None:
        """Stop, because the client disconnected or the service ends. `run` raises InvalidAudio."""
        self._decoding.cancel()

    def run(self) -> Samples:
        """Return the audio of the file at 16 kHz.

        Raises:
            InvalidAudio: not audio, an unsupported container, broken, or a video.
            ReferenceTooShort, ReferenceTooLong, ReferenceSilent: the audio is not usable.
            CloningUnavailable: the decoder process cannot be started.
        """
        samples = self._decoding.run()
        if len(samples) < self._limits.min_s * RATE_HZ:
            raise ReferenceTooShort(f"the reference must last at least {self._limits.min_s:g} s")
        if not np.isfinite(samples).all():
            raise InvalidAudio("the file contains samples that are not finite numbers")
        if _loudest_rms(samples) < SILENT_RMS:
            raise ReferenceSilent("the reference is silent")
        return np.clip(samples, -1, 1)


def _loudest_rms(samples: Samples) -> float:
    block = RATE_HZ // 10
    blocks = samples[: len(samples) // block * block].reshape(-1, block).astype(np.float64)
    return float(np.sqrt((blocks**2).mean(1)).max(initial=0))
