"""What is decoded of a request, for a replay: its codes and windows, never its text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from app.speech.codes import CodeArray
from app.speech.windows import Window


@dataclass(frozen=True, slots=True)
class Take:
    """A pause, or the codes of one generation, (frames, slots), and the windows in which they were decoded."""

    pause_s: float
    codes: list[list[int]]
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class Replay:
    """A request's last attempt, as far as it came."""

    request_id: str
    cause: str  # why it is kept: an error's code, or "reported"
    codec: str
    left_frames: int  # most context of a window
    takes: list[Take]


@dataclass(frozen=True, slots=True)
class _Part:
    """A pause, or codes that may still be coming and the windows taken of them so far."""

    pause_s: float
    codes: CodeArray | None
    windows: list[Window]


class Trail:
    """Follows one attempt; it refers to what is there anyway, so it costs nothing but the memory of parts past."""

    def __init__(self, codec: str, left_frames: int) -> None:
        self._codec, self._left_frames = codec, left_frames
        self._parts: list[_Part] = []

    def pause(self, seconds: float) -> None:
        """Silence comes next."""
        if seconds:
            self._parts.append(_Part(seconds, None, []))

    def begin(self, codes: CodeArray) -> None:
        """A generation comes next, whose codes are still to come."""
        self._parts.append(_Part(0.0, codes, []))

    def windows_of(self, codes: CodeArray) -> list[Window]:
        """Where to write down the windows in which these are decoded."""
        return next(part.windows for part in self._parts if part.codes is codes)

    def replay(self, request_id: str, cause: str) -> Replay:
        """All of it, once the attempt is over."""
        return Replay(
            request_id, cause, self._codec, self._left_frames, list(map(_take, self._parts))
        )


def _take(part: _Part) -> Take:
    frames = (
        []
        if part.codes is None
        else [frame.tolist() for frame in part.codes.window(0, part.codes.frames)]
    )
    return Take(part.pause_s, cast("list[list[int]]", frames), part.windows)
