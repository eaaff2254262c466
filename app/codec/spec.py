"""Data of a codec, without imports, for modules that must not depend on the codecs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """Properties of a codec that the rest of the service needs."""

    name: str
    sample_rate_hz: int
    samples_per_frame: int
    codes_per_frame: int
    vocabulary: int
    left_context_frames: int  # decoded before a window's own frames and dropped
    right_context_frames: int  # minimum look-ahead
    seamless: bool  # windows with this context decode as the whole stream would
    max_window_frames: int  # context included
    # Lengths, in frames, that the windows of a call are padded to; empty: to the longest window.
    frame_steps: tuple[int, ...] = ()
    # Fixed cost of a call, expressed in frames; None: unknown, and measured at startup on a GPU.
    call_overhead_frames: int | None = None

    @property
    def frames_per_s(self) -> float:
        """Frames per second of audio."""
        return self.sample_rate_hz / self.samples_per_frame
