"""A reference recording: whatever was uploaded, as mono sound at the encoder's rate, or a clear refusal.

The bytes come from a stranger. So they are decoded in a process of their own (see `app.clone.decoding`), the
containers are those of a list and no protocol is allowed (a playlist would make FFmpeg read this machine's files), a
stated length is believed only where it speaks against the file, and decoding stops at the longest length or at its
limits of time and memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.clone.decoding import DecodeLimits, Decoding, Processes
from app.request_errors import InvalidAudio, ReferenceSilent, ReferenceTooShort
from app.samples import Samples

RATE_HZ = 16_000  # what NeuCodec's encoder hears
CONTAINERS = "wav,mp3,flac,ogg,mov,matroska,aac,aiff"  # webm is matroska, m4a and mp4 are mov
SILENT_RMS = 10 ** (-50 / 20)  # of the loudest 100 ms


@dataclass(frozen=True, slots=True)
class ReferenceLimits:
    """What a reference may be."""

    min_s: float = 1.0
    max_s: float = 20.0
    decode_s: float = 10.0  # 20 s of sound take 20 ms, and the start of their process 150


def decode_reference(data: bytes, limits: ReferenceLimits) -> Samples:
    """The sound of an uploaded file, at 16 kHz; see `ReferenceDecoding.run`."""
    return ReferenceDecoding(data, limits, Processes()).run()


class ReferenceDecoding:
    """An uploaded file on its way to sound. `cancel` may be called from any thread, at any time."""

    def __init__(self, data: bytes, limits: ReferenceLimits, processes: Processes) -> None:
        self._limits = limits
        self._decoding = Decoding(
            data, DecodeLimits(CONTAINERS, RATE_HZ, limits.max_s, limits.decode_s), processes
        )

    def cancel(self) -> None:
        """End the work: the client has left, or the service ends. `run` raises InvalidAudio."""
        self._decoding.cancel()

    def run(self) -> Samples:
        """The sound of the file, at 16 kHz.

        Raises:
            InvalidAudio: not sound, not in a container of ours, broken, or a film.
            ReferenceTooShort, ReferenceTooLong, ReferenceSilent: sound that cannot serve.
            CloningUnavailable: no process can be started to decode it.
        """
        samples = self._decoding.run()
        if len(samples) < self._limits.min_s * RATE_HZ:
            raise ReferenceTooShort(f"the reference must last at least {self._limits.min_s:g} s")
        if not np.isfinite(samples).all():
            raise InvalidAudio("the file holds samples that are not numbers")
        if _loudest_rms(samples) < SILENT_RMS:
            raise ReferenceSilent("the reference is silent")
        return np.clip(samples, -1, 1)


def _loudest_rms(samples: Samples) -> float:
    block = RATE_HZ // 10
    blocks = samples[: len(samples) // block * block].reshape(-1, block).astype(np.float64)
    return float(np.sqrt((blocks**2).mean(1)).max(initial=0))
