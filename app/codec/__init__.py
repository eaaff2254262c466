"""Codecs decode codes to audio. Importing this package does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.audio.samples import Samples
from app.codec.spec import CodecSpec

Codes = NDArray[np.int32]  # (frames, codes_per_frame), each 0 <= code < vocabulary


class OutOfMemory(Exception):
    """The device has too little memory for a batch; a smaller batch may fit.

    Unused cached memory has been released.
    """


class DeviceLost(BaseException):
    """The device does not work any more in this process.

    Derives from `BaseException`, so that no handler treats it as the failure of one batch.
    """


@dataclass(frozen=True, slots=True)
class CodeWindow:
    """Codes to decode. `first_frame` is the position of `codes[0]` in its stream.

    The first `context_frames` frames are context only and produce no samples.
    """

    codes: Codes
    first_frame: int = 0
    context_frames: int = 0

    @property
    def output_frames(self) -> int:
        """Number of frames that produce samples."""
        return len(self.codes) - self.context_frames


Decoding = Callable[[], list[Samples]]  # waits for a batch in flight; called once


class Codec(Protocol):
    """A stateless decoder; `decode` may be called from any thread, several at once."""

    @property
    def spec(self) -> CodecSpec: ...

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode windows of any lengths (each >= 1 frame) as one batch.

        Returns one float32 array of `output_frames * samples_per_frame` samples per window. It
        equals (within rounding) that window decoded alone.

        Raises:
            OutOfMemory: too little memory for so many windows at once.
            DeviceLost: this process cannot decode any more.
        """
        ...


class VoiceEncoder(Protocol):
    """The encoder of a codec, for voice cloning; not thread-safe."""

    def encode(self, samples: Samples) -> tuple[int, ...]:
        """Return the codes of mono audio at 16 kHz."""
        ...


@runtime_checkable
class OverlappingCodec(Codec, Protocol):
    """A codec on an asynchronous device.

    A thread may start a batch while another batch is in flight.
    """

    def submit(self, windows: Sequence[CodeWindow]) -> Decoding:
        """Submit a batch to the device; the returned function waits and returns as `decode` does.

        At most two batches may be in flight. They finish in the order in which they were started.
        """
        ...
