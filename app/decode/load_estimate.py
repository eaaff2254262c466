"""The load of the decode devices: the cost of their calls, the need of each stream, and whether one more fits."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from app.decode.queue import BatchLimits
from app.engine import EngineCost
from app.speech.windows import LEAD_MARGIN_S, WindowPlan

CALLS, WINDOWS = 48, 96  # that are remembered
SLOW_CALL = 0.8  # rank among those calls of the one whose cost is expected
LEAST_CALLS = (
    8  # observed, below which nothing is predicted where no call was measured at the start
)
FIRST_WINDOW_S = 0.4  # of the voice in a stream's first window, as a rule
# From twice the time in which a first window should come, in steps within which the need cannot pass a utilisation of
# 0.8. The longest stands for ever: what a stream needs beyond it, it needs at the same rate.
HORIZONS_S: Final = 0.2 * 2 ** (np.arange(22) / 3)
MOST_OF_ONE = (
    0.5  # of the time that streams may need: one that asks for more by its speed counts as this
)
LATE_S = 2.0  # how long a late window counts
LATE_SHARE = 0.1  # of the windows of that time: a single hiccup among many streams is none
LEAST_LATE = 2  # and a single hiccup of a single stream neither
FAIR_SLACK_S = 0.1  # beside its own decode time; a window that is asked for later is late by its engine or its speed

Seconds = NDArray[np.float64]  # (streams,)
Horizons = NDArray[np.float64]  # a value for each of HORIZONS_S
Needs = NDArray[np.float64]  # (streams, horizons)
Shortage = Literal["decode", "engine", "late"]


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream as it is now, in seconds of sound as its client hears them.

    `window_s`: in its next window; each one behind it is `growth` times as long, up to `longest_s`. `speed`: seconds
    of the voice in one of them.
    `lead_s`: sent, not heard yet. `left_s`: still to be decoded, as far as its text tells (may be infinite).
    `arrived_s` and `pace`: sound whose codes wait to be decoded, and how much of it the engine adds in a second;
    infinite while the engine has not shown its pace.
    """

    window_s: float = FIRST_WINDOW_S
    growth: float = 1.0
    longest_s: float = math.inf
    speed: float = 1.0
    started: bool = False
    lead_s: float = 0.0
    left_s: float = math.inf
    arrived_s: float = 0.0
    pace: float = math.inf


class Stream(Protocol):
    """A stream that has been admitted, or asks to be."""

    def state(self) -> StreamState:
        """Return its state now."""
        ...


@dataclass(frozen=True, slots=True)
class Demand:
    """The needs of streams as arrays: a value for each stream; of `due_s` one for each stream and horizon.

    `due_s`: the sound of the windows that the client begins to hear within the horizon and has not got; before the
    first window has been decoded its sound is due, and the next when it has been heard.
    """

    started: NDArray[np.bool_]
    speed: Seconds
    arrived_s: Seconds
    pace: Seconds
    window_s: Seconds
    growth: Seconds
    longest_s: Seconds
    dry_s: Seconds  # when the next window is due, as far as is known
    due_s: Needs

    @classmethod
    def of(cls, states: Sequence[StreamState]) -> Demand:
        """Return the demand of streams."""
        begun = np.array([state.started for state in states])
        columns = zip(*map(_numbers, states), strict=True)
        window_s, growth, longest_s, speed, lead_s, left_s, arrived_s, pace = (
            np.array(column) for column in columns
        )
        dry_s: Seconds = np.maximum(0.0, np.where(begun, lead_s, window_s) - LEAD_MARGIN_S)
        later_s = np.minimum(longest_s, growth * window_s)
        next_s = np.where(begun[:, None] & (dry_s[:, None] >= HORIZONS_S), 0.0, window_s[:, None])
        rest_s = HORIZONS_S - dry_s[:, None] - np.where(begun, window_s, 0.0)[:, None]
        later = np.maximum(0.0, np.ceil(rest_s / later_s[:, None] - 1e-9))
        due_s = np.minimum(next_s + later * later_s[:, None], left_s[:, None])
        return cls(begun, speed, arrived_s, pace, window_s, growth, longest_s, dry_s, due_s)

    @property
    def needed_s(self) -> Needs:
        """The sound that is due and that the engine can give within the horizon."""
        return np.minimum(self.due_s, self.arrived_s[:, None] + self.pace[:, None] * HORIZONS_S)

    def windows(self, sound_s: Needs) -> Needs:
        """Return the number of windows in which so much sound is decoded, as they grow; not a whole number."""
        window_s, growth, longest_s = (
            self.window_s[:, None],
            self.growth[:, None],
            self.longest_s[:, None],
        )
        rate = np.maximum(growth - 1, 1e-6)  # windows that stay as they are grow by next to nothing
        growing = np.log(np.maximum(longest_s / window_s, 1)) / np.log1p(rate)
        grown_s = window_s * np.expm1(growing * np.log1p(rate)) / rate
        early = np.log1p(rate * np.minimum(sound_s, grown_s) / window_s) / np.log1p(rate)
        return np.where(
            sound_s > 0,
            np.maximum(1.0, early + np.maximum(0.0, sound_s - grown_s) / longest_s),
            0.0,
        )

    @property
    def soonest_s(self) -> float:
        """The time in which the first of them runs dry: what is due sooner is for a newcomer alone."""
        return float(self.dry_s.min())


@dataclass(frozen=True, slots=True)
class CallCost:
    """The price of a decode call: so many frames before its first (None: its frames cost nothing), and of each."""

    call_frames: float | None
    s_per_frame: float


@dataclass(frozen=True, slots=True)
class SentWindow:
    """A window that is about to be sent.

    `slack_s`: the time between the arrival of its codes and the moment at which the client ran dry, or will.
    """

    at_s: float
    frames: int
    slack_s: float
    late: bool  # the client has run dry


class LoadEstimate:
    """Predicts the time that streams need of the decode devices, within each of a few horizons.

    A stream that has sound in hand needs less, one that has not begun needs its first window. Nothing but the
    devices is measured here: a stream that its engine cannot keep up with needs no more than the engine gives, and
    its late windows do not count. `called` runs on the decode threads, all else on the event loop; each list is
    changed by one of them and copied in one step. Times are in seconds, on any one clock.
    """

    def __init__(
        self,
        limits: BatchLimits,
        devices: int,
        plan: WindowPlan,
        frames_per_s: float,
        measured: CallCost | None = None,
    ) -> None:
        """`plan`: the windows of a stream; `measured`: the cost of a call, where it was timed at the start."""
        self._limits, self._devices, self._plan, self._frames_per_s = (
            limits,
            devices,
            plan,
            frames_per_s,
        )
        self._call_frames = limits.call_frames if measured is None else measured.call_frames
        known = [] if measured is None else [measured.s_per_frame] * LEAST_CALLS
        self._s_per_frame: deque[float] = deque(known, maxlen=CALLS)
        self._sent: deque[SentWindow] = deque(maxlen=WINDOWS)
        self._late_since_s = -math.inf
        self.engine_cost: Callable[[], EngineCost | None] = lambda: (
            None
        )  # of an engine on this machine

    def called(self, seconds: float, rows: int, longest_frames: int) -> None:
        """Take note of a call of so many windows, which has kept a device busy."""
        frames = rows * self._limits.rounded(longest_frames)
        self._s_per_frame.append(seconds / self._work_frames(frames, 1))

    def sent(self, window: SentWindow) -> None:
        """Take note of a window of a stream."""
        self._sent.append(window)

    def began_alone(self, now_s: float) -> None:
        """Forget the late windows of streams that have ended."""
        self._late_since_s = now_s

    def shortage(
        self, streams: Collection[Stream], newcomer: Stream, utilisation: float, now_s: float
    ) -> Shortage | None:
        """Return the reason for which a newcomer, or the others beside it, would run dry; None where none would.

        `utilisation`: the share of the devices' time that streams may need.
        """
        if self.late(now_s):
            return "late"
        demand = Demand.of([stream.state() for stream in (*streams, newcomer)])
        relevant = demand.soonest_s < HORIZONS_S
        if len(self._s_per_frame) >= LEAST_CALLS:
            busy_s = self._busy_s(demand, utilisation)
            too_much = (busy_s > utilisation * HORIZONS_S) | (
                busy_s + self._blocked_s(demand) > HORIZONS_S
            )
            if (too_much & relevant).any():
                return "decode"
        if cost := self.engine_cost():
            too_much = _engine_busy_s(demand, cost) > utilisation * HORIZONS_S
            if (too_much & relevant).any():
                return "engine"
        return None

    def late(self, now_s: float) -> bool:
        """Tell whether the devices let clients run dry, now and not by a single accident."""
        since_s = max(now_s - LATE_S, self._late_since_s)
        s_per_frame = self._usual_s_per_frame if self._s_per_frame else math.inf
        recent = [
            window.late
            for window in list(self._sent)
            if window.at_s >= since_s and self._was_fair(window, s_per_frame)
        ]
        return sum(recent) >= max(LEAST_LATE, math.ceil(LATE_SHARE * len(recent)))

    def busy_s(self, states: Sequence[StreamState]) -> Horizons:
        """Return the seconds of each device that these streams need within each horizon; 0 while no cost is known."""
        if not self._s_per_frame:
            return np.zeros_like(HORIZONS_S)
        return self._busy_s(Demand.of(states), math.inf)

    def _busy_s(self, demand: Demand, utilisation: float) -> Horizons:
        plan, begun, needed_s = self._plan, demand.started[:, None], demand.needed_s
        first_s = np.where(
            begun, 0.0, np.minimum(needed_s, demand.window_s[:, None])
        )  # decoded without context
        work_frames = self._frames(demand, needed_s - first_s)
        first_frames = plan.first_hop + plan.right
        calls = 1 / self._shared(int((~demand.started).sum()), first_frames)
        work_frames += np.where(first_s > 0, self._work_frames(first_frames, calls), 0.0)
        work_s = work_frames * self._usual_s_per_frame
        share_s = MOST_OF_ONE * utilisation * self._devices * HORIZONS_S
        in_real_time_s = work_s / np.maximum(1.0, demand.speed)[:, None]
        return np.minimum(work_s, np.maximum(share_s, in_real_time_s)).sum(0) / self._devices

    def _frames(self, demand: Demand, sound_s: Needs) -> Needs:
        """Return the frames to decode for so much sound, with context, and with those before a call's first."""
        windows, context = demand.windows(sound_s), self._plan.left + self._plan.right
        new_frames = sound_s * demand.speed[:, None] * self._frames_per_s
        shared = self._shared(len(demand.started), context + self._plan.first_hop)
        calls = windows / shared
        return (
            calls
            if self._call_frames is None
            else new_frames + windows * context + calls * self._call_frames
        )

    def _blocked_s(self, demand: Demand) -> Horizons:
        """Return the time for which what is due within each horizon may wait for a call that has just begun.

        Such a call holds windows that are due later, as many as there are and fit.
        """
        later_s = np.where(demand.due_s > 0, 0.0, demand.window_s[:, None])
        frames = self._frames(demand, later_s).sum(0) / self._devices
        return np.minimum(frames * self._usual_s_per_frame, self._longest_call_s())

    def _longest_call_s(self) -> float:
        """Return the time of a call of as many windows as fit."""
        limits, longest = self._limits, self._plan.left + self._plan.first_hop + self._plan.right
        frames = limits.windows * longest
        if limits.padded_frames is not None:
            frames = min(frames, limits.padded_frames)
        return self._work_frames(frames, 1) * self._usual_s_per_frame

    @property
    def _usual_s_per_frame(self) -> float:
        """The cost of a frame in a slow call, though not in the slowest: under load calls are slower than before it."""
        costs = sorted(self._s_per_frame.copy())
        return costs[int(SLOW_CALL * (len(costs) - 1))]

    def _was_fair(self, window: SentWindow, s_per_frame: float) -> bool:
        """Tell whether a free device would have decoded it well in time."""
        return window.slack_s >= FAIR_SLACK_S + self._work_frames(window.frames, 1) * s_per_frame

    def _shared(self, streams: int, frames: float) -> float:
        """Return how many windows of so many frames share a call at most, when all streams wait."""
        most = self._limits.padded_frames
        fitting = self._limits.windows if most is None else min(self._limits.windows, most / frames)
        return max(1.0, min(fitting, streams / self._devices))

    def _work_frames(self, frames: float, calls: float) -> float:
        return calls if self._call_frames is None else frames + calls * self._call_frames


def _engine_busy_s(demand: Demand, cost: EngineCost) -> Horizons:
    """Return the seconds of the engine that streams need: for codes that are due and have not arrived."""
    unmade_s = (
        np.maximum(0.0, demand.due_s - demand.arrived_s[:, None])
        * demand.speed[:, None]
        * cost.s_per_voice_s
    )
    return np.where(unmade_s > 0, np.maximum(unmade_s, cost.least_s), 0.0).sum(0)


def _numbers(state: StreamState) -> tuple[float, ...]:
    growing = state.window_s, state.growth, max(state.window_s, state.longest_s)
    return *growing, state.speed, state.lead_s, state.left_s, state.arrived_s, state.pace
