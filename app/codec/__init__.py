"""Codecs decode codes to audio. Importing this package does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.audio.samples import Samples
from app.codec.spec import CodecSpec

Report = Callable[[str], None]  # receives the progress of a long load, line by line
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


class Decoding(Protocol):
    """A batch that has been submitted to a device."""

    def wait(self) -> None:
        """Wait until the device has decoded the batch.

        Raises:
            OutOfMemory, DeviceLost: see `Codec.decode`; the batch then has no samples.
        """
        ...

    def samples(self) -> list[Samples]:
        """Return what `Codec.decode` returns; called once, after `wait`."""
        ...


@dataclass(slots=True)
class BlockingDecoding:
    """A `Decoding` on a device without asynchrony, which decodes in `wait`."""

    decode: Callable[[], list[Samples]]
    decoded: list[Samples] = field(default_factory=list[Samples])

    def wait(self) -> None:
        self.decoded = self.decode()

    def samples(self) -> list[Samples]:
        return self.decoded


class VoiceEncoder(Protocol):
    """The encoder of a codec, for voice cloning; not thread-safe."""

    def encode(self, samples: Samples) -> tuple[int, ...]:
        """Return the codes of mono audio at 16 kHz.

        Raises:
            OutOfMemory: the device has too little memory for this recording.
            DeviceLost: the device does not work any more in this process.
        """
        ...


@runtime_checkable
class OverlappingCodec(Codec, Protocol):
    """A codec on an asynchronous device.

    The device may decode a batch while a thread converts the samples of an earlier one.
    """

    def submit(self, windows: Sequence[CodeWindow]) -> Decoding:
        """Submit a batch to the device, without waiting for it.

        Two batches may be in flight while the samples of a third are read. They finish in the order
        of their submission.
        """
        ...


def submit(codec: Codec, windows: Sequence[CodeWindow]) -> Decoding:
    """Submit a batch to a codec; one without asynchrony decodes it in `Decoding.wait`."""
    if isinstance(codec, OverlappingCodec):
        return codec.submit(windows)
    return BlockingDecoding(partial(codec.decode, windows))
