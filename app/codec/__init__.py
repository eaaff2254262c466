"""Codecs turn codes into sound. Importing this package does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.samples import Samples
from app.speech.windows import WindowPlan, plan_windows

Codes = NDArray[np.int32]  # (frames, codes_per_frame), each 0 <= code < vocabulary


class OutOfMemory(Exception):
    """The device has no room for a batch; what it held for nobody has been given back. A smaller one may fit."""


class DeviceLost(BaseException):
    """The device answers nothing any more, for as long as this process lives.

    Not an `Exception`: nothing on its way may take it for the failure of one batch.
    """


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """What the rest of the service has to know of a codec."""

    name: str
    sample_rate_hz: int
    samples_per_frame: int
    codes_per_frame: int
    vocabulary: int
    left_context_frames: int  # decoded before a window's own frames, and thrown away
    right_context_frames: int  # the least look-ahead
    exact: bool  # windows with this context sound the same as decoding everything at once
    max_window_frames: int  # context included
    frame_steps: tuple[
        int, ...
    ] = ()  # lengths that windows are padded to in a call; none: to the longest
    call_frames: int | None = (
        None  # what a call costs before its first frame, in frames, where that is known
    )

    @property
    def frames_per_s(self) -> float:
        """Frames in a second of audio."""
        return self.sample_rate_hz / self.samples_per_frame

    def plan(
        self, first_window_s: float, overlap_s: float, *, whole: bool = False, seeded: bool = False
    ) -> WindowPlan:
        """The plan of a request for this codec: see `plan_windows`."""
        return plan_windows(
            first_window_s=first_window_s,
            overlap_s=overlap_s,
            frames_per_s=self.frames_per_s,
            left=self.left_context_frames,
            right=self.right_context_frames,
            max_window=self.max_window_frames,
            exact=self.exact,
            whole=whole,
            seeded=seeded,
        )


@dataclass(frozen=True, slots=True)
class CodeWindow:
    """Codes to decode. `first_frame` is the position of `codes[0]` in its stream.

    The first `context_frames` are there to be heard by the decoder, not by anybody else: they give no samples.
    """

    codes: Codes
    first_frame: int = 0
    context_frames: int = 0

    @property
    def sounding_frames(self) -> int:
        """Frames that give samples."""
        return len(self.codes) - self.context_frames


Decoding = Callable[[], list[Samples]]  # waits for a batch that is under way; called once


class Codec(Protocol):
    """A stateless decoder; `decode` may be called from any thread, several at once."""

    @property
    def spec(self) -> CodecSpec: ...

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Decode windows of any lengths (each >= 1 frame) as one batch.

        Returns one float32 array of `sounding_frames * samples_per_frame` samples per window, the
        same (within rounding) as that window decoded alone.

        Raises:
            OutOfMemory: no room for so many windows at once.
            DeviceLost: this process cannot decode any more.
        """
        ...


@runtime_checkable
class OverlappingCodec(Codec, Protocol):
    """A codec whose device works by itself: one thread may begin a batch while another batch is under way."""

    def begin(self, windows: Sequence[CodeWindow]) -> Decoding:
        """Put a batch on the device and return; see `decode` for what the returned function gives.

        At most two batches may be under way. They end in the order in which they began.
        """
        ...
