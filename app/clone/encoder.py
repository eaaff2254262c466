"""From an uploaded file to codes, in one thread; the network is loaded when it is first needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app import metrics
from app.clone.decoding import Processes
from app.clone.reference import RATE_HZ, ReferenceDecoding, ReferenceLimits
from app.samples import Samples


class VoiceEncoder(Protocol):
    """A codec's encoder."""

    def encode(self, samples: Samples) -> tuple[int, ...]:
        """The codes of mono sound at 16 kHz."""
        ...


@dataclass(frozen=True, slots=True)
class Recording:
    """What an upload came to."""

    codes: tuple[int, ...]
    length_s: float


class ReferenceEncoder:
    """Files to codes, one at a time. A load that fails is tried again with the next file."""

    def __init__(self, load: Callable[[], VoiceEncoder], limits: ReferenceLimits) -> None:
        self._load, self._limits = load, limits
        self._encoder: VoiceEncoder | None = None
        self._processes = Processes(spare=True)

    def close(self) -> None:
        """Let go of the decoder process that is kept for the next file."""
        self._processes.close()

    def decoding(self, audio: bytes) -> ReferenceDecoding:
        """The first half of the work on a file, which can be cancelled; `encode` does it."""
        return ReferenceDecoding(audio, self._limits, self._processes)

    def encode(self, decoding: ReferenceDecoding) -> Recording:
        """Decode a file and encode its sound: seconds of work on a CPU, and the load before the first.

        Raises:
            RequestError, CloningUnavailable: see `ReferenceDecoding.run`.
            LoadError: the encoder cannot be loaded.
        """
        samples = decoding.run()
        if self._encoder is None:
            self._encoder = self._load()
        begun_s = time.monotonic()
        codes = self._encoder.encode(samples)
        metrics.REFERENCE_SECONDS.observe(time.monotonic() - begun_s)
        return Recording(codes, len(samples) / RATE_HZ)
