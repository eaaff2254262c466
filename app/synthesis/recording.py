"""Records of a request's codes and windows for a replay, without its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from app.tokens.code_buffer import CodeBuffer
from app.tokens.windows import Window


@dataclass(frozen=True, slots=True)
class RecordedSegment:
    """A pause, or the codes of one generation and the windows in which they were decoded."""

    pause_s: float
    codes: list[list[int]]  # (frames, slots)
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """The record of a request's last attempt, which may be incomplete."""

    request_id: str
    cause: str  # an error's code, or "reported"
    codec: str
    left_frames: int  # most frames of context in a window
    takes: list[RecordedSegment]


@dataclass(frozen=True, slots=True)
class _Segment:
    """A pause, or codes that may still be arriving and their windows so far."""

    pause_s: float
    codes: CodeBuffer | None
    windows: list[Window]


class ReplayRecorder:
    """Record one attempt by reference, so that it costs only the memory of earlier parts."""

    def __init__(self, codec: str, left_frames: int) -> None:
        self._codec, self._left_frames = codec, left_frames
        self._parts: list[_Segment] = []

    def pause(self, seconds: float) -> None:
        """Add a pause."""
        if seconds:
            self._parts.append(_Segment(seconds, None, []))

    def begin(self, codes: CodeBuffer, windows: list[Window]) -> None:
        """Add a generation, whose codes and windows may still be arriving."""
        self._parts.append(_Segment(0.0, codes, windows))

    def replay(self, request_id: str, cause: str) -> ReplayRecord:
        """Return the record of an attempt that has ended."""
        takes = [_take(segment) for segment in self._parts]
        return ReplayRecord(request_id, cause, self._codec, self._left_frames, takes)


def _take(segment: _Segment) -> RecordedSegment:
    codes: list[list[int]] = []
    if segment.codes is not None:
        codes = cast("list[list[int]]", segment.codes.window(0, segment.codes.frames).tolist())
    return RecordedSegment(segment.pause_s, codes, segment.windows)
