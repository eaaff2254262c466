"""What the decode devices can carry: what their calls cost, what streams ask of them, and who was late.

Everything here is observed; nothing is measured beforehand. Times are in seconds, on any one clock.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Literal

from app.decode.queue import BatchLimits

CALLS, WINDOWS = 48, 96  # that are remembered
LEAST_CALLS, LEAST_WINDOWS = 8, 8  # below which nothing is predicted
LATE_S = 2.0  # how long a late window counts
LATE_SHARE = 0.1  # of the windows of that time: a single hiccup among many streams is none
LEAST_LATE = 2  # and a single hiccup of a single stream neither
# On a ladder the second window is twice as long as the first, and due when that has been heard: so long a stream
# costs as much as two. Windows of exact codecs are as long as the device affords.
BEGINNING_S = 1.0

Starving = Literal["decode", "late"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A window on its way to a listener: its frames, context included, and how long its new sound lasts."""

    at_s: float
    frames: int
    audio_s: float
    late: bool  # the listener had run dry


class Capacity:
    """Predicts the share of the devices' time that listeners in real time need.

    A call costs as `BatchLimits.call_frames` says: so many frames before its first (None: its frames cost nothing).
    How long a frame takes is the median over the last calls, so that a first call that reads its weights
    from the disk does not count. What a stream asks for is seen in what is sent, by the seconds of sound
    in it: an engine that runs ahead makes the device busy now, but nobody late. Calls are noted on the decode
    threads, all else happens on the event loop; each list is changed by one of them and copied in one step.
    """

    def __init__(self, limits: BatchLimits, devices: int, *, exact: bool = False) -> None:
        self._limits, self._devices, self._exact = limits, devices, exact
        self._call_frames = limits.call_frames
        self._s_per_frame: deque[float] = deque(maxlen=CALLS)
        self._heard: deque[Heard] = deque(maxlen=WINDOWS)
        self._begun_s: deque[float] = deque(maxlen=WINDOWS)
        self._late_since_s = -math.inf

    def began(self, now_s: float, *, alone: bool) -> None:
        """A stream has been let in; where it is alone, nobody is late any more."""
        self._begun_s.append(now_s)
        if alone:
            self._late_since_s = now_s

    def starving(self, streams: int, utilisation: float, now_s: float) -> Starving | None:
        """Why one more than these streams would run dry, or let others do so; None where it would not.

        `utilisation`: the share of the devices' time that they may need.
        """
        if self.late(now_s):
            return "late"
        beginning = sum(now_s - begun_s < BEGINNING_S for begun_s in self._begun_s)
        needed = self.needed(streams + 1 + (0 if self._exact else min(streams, beginning)))
        return "decode" if needed is not None and needed > utilisation else None

    def called(self, seconds: float, rows: int, longest_frames: int) -> None:
        """A call of so many windows has kept a device busy."""
        frames = rows * self._limits.rounded(longest_frames)
        self._s_per_frame.append(seconds / self._work_frames(frames, 1))

    def heard(self, window: Heard) -> None:
        """A window of a stream is about to be sent."""
        self._heard.append(window)

    def needed(self, streams: int) -> float | None:
        """The share of the devices' time that so many streams need, when those that wait share calls.

        None while too little has been seen.
        """
        heard = list(self._heard)
        audio_s = sum(window.audio_s for window in heard)
        if len(self._s_per_frame) < LEAST_CALLS or len(heard) < LEAST_WINDOWS or not audio_s:
            return None
        frames = sum(window.frames for window in heard)
        shared = self._batch(streams, frames / len(heard))
        work_frames = self._work_frames(frames, len(heard) / shared) / audio_s * streams
        return statistics.median(list(self._s_per_frame)) * work_frames / self._devices

    def late(self, now_s: float) -> bool:
        """Whether listeners run dry, now and not by a single accident."""
        since_s = max(now_s - LATE_S, self._late_since_s)
        recent = [window.late for window in list(self._heard) if window.at_s >= since_s]
        return sum(recent) >= max(LEAST_LATE, math.ceil(LATE_SHARE * len(recent)))

    def _batch(self, streams: int, frames: float) -> float:
        """How many windows of so many frames share a call at most, when all streams wait."""
        most = self._limits.padded_frames
        fitting = self._limits.windows if most is None else min(self._limits.windows, most / frames)
        return max(1.0, min(fitting, streams / self._devices))

    def _work_frames(self, frames: float, calls: float) -> float:
        return calls if self._call_frames is None else frames + calls * self._call_frames
