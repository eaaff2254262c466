"""The statistics of a request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from app.engine import FinishReason
from app.synthesis.code_stream import CodeStream


@dataclass(frozen=True, slots=True)
class KeptCodes:
    """The codes of an attempt for a replay, by reference."""

    codec: str
    left_frames: int  # most frames of context in a window
    # Seconds of silence, and the codes after it, which may still be arriving.
    segments: list[tuple[float, CodeStream | None]] = field(
        default_factory=list[tuple[float, CodeStream | None]]
    )


@dataclass(slots=True)
class SynthesisStats:
    """Figures that the steps of the synthesis write while the request runs.

    Times are on the clock of time.monotonic(). All values but `retries` are of the latest attempt.
    """

    begun_s: float = field(default_factory=time.monotonic)
    retries: int = 0
    audio_s: float = 0.0  # passed to the encoder
    codec_tokens: int = 0
    prompt_tokens: int = 0
    finish_reason: FinishReason = "stop"  # "length" if the caller's token limit ended the response
    first_codes_s: float | None = None  # the first window's codes had arrived, or the engine ended
    first_write_s: float | None = None  # the first bytes were sent, or stored for a whole response
    keeps_codes: bool = False  # True if the codes may be written for a replay
    codes: KeptCodes | None = None

    @property
    def first_audio_s(self) -> float:
        """Seconds from the request to the first write; 0 before it."""
        return 0.0 if self.first_write_s is None else self.first_write_s - self.begun_s

    @property
    def first_window_s(self) -> float:
        """Seconds from the arrival of the first window's codes to the first write; 0 before it."""
        if self.first_write_s is None or self.first_codes_s is None:
            return 0.0
        return max(0.0, self.first_write_s - self.first_codes_s)

    @property
    def total_s(self) -> float:
        """Seconds from the request to now."""
        return time.monotonic() - self.begun_s

    def retry(self) -> None:
        """Count a retry and drop the figures of the failed attempt."""
        self.retries += 1
        self.audio_s = 0.0
        self.codec_tokens = self.prompt_tokens = 0
        self.finish_reason = "stop"
        self.first_codes_s = self.first_write_s = None
        self.codes = None

    def keep_segment(self, pause_s: float, stream: CodeStream | None) -> None:
        """Keep the codes of a segment, if the codes of the request are kept."""
        if self.codes is not None:
            self.codes.segments.append((pause_s, stream))
