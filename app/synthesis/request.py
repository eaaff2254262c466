"""A validated request: the segments of its text, how to generate them and how to send the audio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.audio.encoders import LOSSLESS, Encoder, make_encoder
from app.config.types import Encoding, Format
from app.engine import Sampling
from app.text.duration import ANY_LENGTH, DurationBounds
from app.tokens.code_buffer import FrameLayout
from app.tokens.windows import WindowPlan

DeliveryMode = Literal["stream", "whole", "events"]


@dataclass(frozen=True, slots=True)
class Segment:
    """The prompt of one generation (None for a pause alone) and the silence before it."""

    prompt: str | None
    pause_s: float = 0.0
    bounds: DurationBounds = ANY_LENGTH  # plausible durations of the prompt's speech


class Segments(Protocol):
    """The segments of a text, in order. A second attempt gets them again."""

    @property
    def starved(self) -> bool:
        """True if a task waits for a segment whose text the client has not sent yet."""
        ...

    async def get(self, index: int) -> Segment | None:
        """Return a segment once its text has been received, or None after the last.

        Raises:
            TextTimeout: no text was received in time.
        """
        ...


class CompleteSegments:
    """The segments of a text that is known from the start."""

    starved = False

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments

    async def get(self, index: int) -> Segment | None:
        return self._segments[index] if index < len(self._segments) else None


@dataclass(frozen=True, slots=True)
class LoudnessTarget:
    """Target level (None: unchanged) and typical input level, in dBFS RMS of voiced speech."""

    target_db: float | None
    typical_db: float
    estimation_window_s: float  # seconds of audio from which the first gain is estimated


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """The format, delivery, tempo and maximum duration of a response."""

    rate_hz: int
    format: Format = "pcm"
    encoding: Encoding = "pcm_s16le"
    delivery: DeliveryMode = "stream"
    speed: float = 1.0  # factor on the tempo
    max_audio_s: float = math.inf  # maximum duration, measured after `speed` is applied

    @property
    def whole(self) -> bool:
        """True if the response is sent as one body, so that no client plays it before its end."""
        return self.delivery == "whole"

    @property
    def bit_depth(self) -> int | None:
        """Bits of a sample; None for a lossy format."""
        if self.format not in LOSSLESS:
            return None
        return 16 if self.encoding == "pcm_s16le" else 8

    def make_encoder(self) -> Encoder:
        """Return a new encoder of the format."""
        return make_encoder(self.format, self.rate_hz, encoding=self.encoding, whole=self.whole)


@dataclass(frozen=True, slots=True)
class SynthesisRequest:
    """A validated request; nothing is optional and nothing is checked again."""

    segments: Segments
    sampling: Sampling
    may_be_cut: bool  # True if the caller set max_tokens; reaching that limit is then no error
    output: OutputOptions
    layout: FrameLayout
    plan: WindowPlan
    loudness: LoudnessTarget
    limit_s: float
    # Expected duration as the client hears it; infinite while the text is still being received.
    expected_s: float = math.inf
