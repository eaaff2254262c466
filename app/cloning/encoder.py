"""Encoder of uploaded recordings to codec codes, in one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app import metrics
from app.cloning.decoding import DecoderProcesses
from app.cloning.recording import RATE_HZ, ReferenceDecoding, ReferenceLimits
from app.codec import DeviceLost, OutOfMemory, VoiceEncoder
from app.errors import CloningUnavailable


@dataclass(frozen=True, slots=True)
class EncodedReference:
    """Codec codes of an uploaded recording, and its duration in seconds."""

    codes: tuple[int, ...]
    length_s: float


class ReferenceEncoder:
    """Encoder of one file at a time, which loads its network at the first use.

    If the network fails to load, the next file tries again.
    """

    def __init__(self, load: Callable[[], VoiceEncoder], limits: ReferenceLimits) -> None:
        self._load, self._limits = load, limits
        self._encoder: VoiceEncoder | None = None
        self._processes = DecoderProcesses(spare=True)

    def close(self) -> None:
        """End the decoder process that waits for the next file."""
        self._processes.close()

    def decoding(self, audio: bytes) -> ReferenceDecoding:
        """Prepare the decoding of a file, which can be cancelled. `encode` runs it."""
        return ReferenceDecoding(audio, self._limits, self._processes)

    def encode(self, decoding: ReferenceDecoding) -> EncodedReference:
        """Decode a file and encode its audio, which takes seconds on a CPU.

        The first call loads the network.

        Raises:
            RequestError, CloningUnavailable: see `ReferenceDecoding.run`.
            CloningUnavailable: the encoder's device has too little memory, or does not work.
            LoadError: the encoder cannot be loaded.
        """
        samples = decoding.run()
        if self._encoder is None:
            self._encoder = self._load()
        started_s = time.monotonic()
        try:
            codes = self._encoder.encode(samples)
        except OutOfMemory as exc:
            message = "the voice encoder has too little memory for this recording; retry shortly"
            raise CloningUnavailable(message) from exc
        except DeviceLost as exc:  # the next decode call fails too, and ends the process
            raise CloningUnavailable("the voice encoder's device does not work") from exc
        metrics.REFERENCE_SECONDS.observe(time.monotonic() - started_s)
        return EncodedReference(codes, len(samples) / RATE_HZ)
