"""An estimate of the decode devices' load, which predicts if one more stream fits."""

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
from app.tokens.windows import LEAD_MARGIN_S, WindowPlan

CALLS = 48  # latest calls that are remembered
WINDOWS = 96  # latest windows that are remembered
SLOW_CALL = 0.8  # quantile of the remembered calls' costs that is the expected cost
MIN_CALLS = 8  # observed calls before the first prediction, if none was measured at startup
FIRST_WINDOW_S = 0.4  # usual duration of a stream's first window, before its tempo changes
# Seconds, from twice FIRST_WINDOW_TARGET_S in steps of 26 %: demand within a utilisation of 0.8 at
# every horizon stays within 1 between two. The longest also stands for all later times, since the
# demand of a stream then continues at the same rate.
HORIZONS_S: Final = 0.2 * 2 ** (np.arange(22) / 3)
# Share of the usable device time. A stream that needs more only because of its speed counts with
# this share.
MAX_STREAM_SHARE = 0.5
UNDERRUN_MEMORY_S = 2.0  # seconds for which a late window counts
# Minimum share of late windows in UNDERRUN_MEMORY_S, so that one among many does not count.
UNDERRUN_SHARE = 0.1
# Minimum number of late windows in UNDERRUN_MEMORY_S, so that a single one does not count.
MIN_UNDERRUNS = 2
# Seconds beside its decode time that a window needs to be in time. One requested with less is late
# because of its engine or its speed.
FAIR_SLACK_S = 0.1

Seconds = NDArray[np.float64]  # (streams,)
Horizons = NDArray[np.float64]  # (horizons,), one value for each of HORIZONS_S
Needs = NDArray[np.float64]  # (streams, horizons)
Shortage = Literal["decode", "engine", "late"]


@dataclass(frozen=True, slots=True)
class StreamState:
    """A snapshot of a stream, in seconds of audio as its client hears it."""

    window_s: float = FIRST_WINDOW_S  # duration of the next window
    growth: float = 1.0  # ratio of each later window's duration to the one before it
    max_window_s: float = math.inf  # maximum duration of a window
    speed: float = 1.0  # seconds of the codec's output in one second of audio
    started: bool = False
    lead_s: float = 0.0  # sent and not yet played
    left_s: float = math.inf  # not decoded yet, estimated from the text
    arrived_s: float = 0.0  # audio whose codes wait to be decoded
    pace: float = math.inf  # seconds of audio per second of the engine; infinite while unknown


class Stream(Protocol):
    """A stream that has been admitted or requests admission."""

    def state(self) -> StreamState:
        """Return its state now."""
        ...


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand of streams as arrays.

    `due_s` is the audio of all windows that are not sent yet and start to play within the horizon.
    Before a stream has started, its first window is due at once and the next one after it has
    been played.
    """

    started: NDArray[np.bool_]
    speed: Seconds
    arrived_s: Seconds
    pace: Seconds
    window_s: Seconds
    growth: Seconds
    max_window_s: Seconds
    due_in_s: Seconds  # time until the next window is due
    due_s: Needs

    @classmethod
    def of(cls, states: Sequence[StreamState]) -> Demand:
        """Build the arrays from snapshots."""
        started = np.array([state.started for state in states])
        columns = zip(*map(_row, states), strict=True)
        window_s, growth, max_window_s, speed, lead_s, left_s, arrived_s, pace = map(
            np.array, columns
        )
        due_in_s: Seconds = np.maximum(0.0, np.where(started, lead_s, window_s) - LEAD_MARGIN_S)
        later_s = np.minimum(max_window_s, growth * window_s)
        next_s = np.where(
            started[:, None] & (due_in_s[:, None] >= HORIZONS_S), 0.0, window_s[:, None]
        )
        rest_s = HORIZONS_S - due_in_s[:, None] - np.where(started, window_s, 0.0)[:, None]
        later = np.maximum(0.0, np.ceil(rest_s / later_s[:, None] - 1e-9))
        due_s = np.minimum(next_s + later * later_s[:, None], left_s[:, None])
        return cls(started, speed, arrived_s, pace, window_s, growth, max_window_s, due_in_s, due_s)

    @property
    def needed_s(self) -> Needs:
        """Audio that is due and whose codes the engine can send within the horizon."""
        return np.minimum(self.due_s, self.arrived_s[:, None] + self.pace[:, None] * HORIZONS_S)

    def windows(self, audio_s: Needs) -> Needs:
        """Return the number of growing windows that hold this audio; not a whole number."""
        window_s = self.window_s[:, None]
        growth = self.growth[:, None]
        max_window_s = self.max_window_s[:, None]
        rate = np.maximum(growth - 1, 1e-6)  # not 0, which the formulas divide by
        growing = np.log(np.maximum(max_window_s / window_s, 1)) / np.log1p(rate)
        grown_s = window_s * np.expm1(growing * np.log1p(rate)) / rate
        early = np.log1p(rate * np.minimum(audio_s, grown_s) / window_s) / np.log1p(rate)
        late = np.maximum(0.0, audio_s - grown_s) / max_window_s
        return np.where(audio_s > 0, np.maximum(1.0, early + late), 0.0)

    @property
    def first_due_in_s(self) -> float:
        """Time until the first window of any of the streams is due."""
        return float(self.due_in_s.min())


@dataclass(frozen=True, slots=True)
class CallCost:
    """The cost of a decode call, as a fixed part and a part per frame."""

    # Fixed part, in frames; None: the number of frames costs nothing.
    overhead_frames: float | None
    s_per_frame: float  # seconds per frame; with `overhead_frames` None, seconds per call


@dataclass(frozen=True, slots=True)
class SentWindow:
    """A window that is about to be sent."""

    at_s: float
    frames: int
    slack_s: float  # from the arrival of its codes to the end of the client's buffer
    late: bool  # True if the client's buffer is empty


@dataclass(frozen=True, slots=True)
class DecodeCapacity:
    """The decode devices, and the work that streams cause on them.

    Work is counted in frames, or in calls if the number of frames costs nothing.
    """

    limits: BatchLimits
    devices: int
    plan: WindowPlan  # of a usual stream
    frames_per_s: float
    measured: CallCost | None = None  # at startup

    @property
    def overhead_frames(self) -> float | None:
        """Fixed part of a call's cost; see CallCost."""
        return (
            self.limits.call_overhead_frames
            if self.measured is None
            else self.measured.overhead_frames
        )

    def work(self, frames: float, calls: float) -> float:
        """Return the work of these frames in so many calls."""
        overhead_frames = self.overhead_frames
        return calls if overhead_frames is None else frames + calls * overhead_frames

    def batch_work(self, rows: int, longest_frames: int) -> float:
        """Return the work of one call with `rows` windows, padded to the longest."""
        return self.work(rows * self.limits.padded_length(longest_frames), 1)

    def busy_s(self, demand: Demand, utilisation: float, s_per_frame: float) -> Horizons:
        """Return the seconds of each device that these streams need."""
        started, needed_s = demand.started[:, None], demand.needed_s
        # A first window is decoded without context.
        first_s = np.where(started, 0.0, np.minimum(needed_s, demand.window_s[:, None]))
        work = self._stream_work(demand, needed_s - first_s)
        first_frames = self.plan.first_hop + self.plan.right
        calls = 1 / self._windows_per_call(int((~demand.started).sum()), first_frames)
        work += np.where(first_s > 0, self.work(first_frames, calls), 0.0)
        work_s = work * s_per_frame
        share_s = MAX_STREAM_SHARE * utilisation * self.devices * HORIZONS_S
        in_real_time_s = work_s / np.maximum(1.0, demand.speed)[:, None]
        return np.minimum(work_s, np.maximum(share_s, in_real_time_s)).sum(0) / self.devices

    def blocked_s(self, demand: Demand, s_per_frame: float) -> Horizons:
        """Return the longest wait of due windows for a call that has just started.

        Such a call holds as many windows that are due later as exist and fit.
        """
        later_s = np.where(demand.due_s > 0, 0.0, demand.window_s[:, None])
        work = self._stream_work(demand, later_s).sum(0) / self.devices
        return np.minimum(work, self._max_call_work()) * s_per_frame

    def _stream_work(self, demand: Demand, audio_s: Needs) -> Needs:
        """Return the work of this audio, with context and the fixed part of calls."""
        windows, context = demand.windows(audio_s), self.plan.left + self.plan.right
        new_frames = audio_s * demand.speed[:, None] * self.frames_per_s
        calls = windows / self._windows_per_call(len(demand.started), context + self.plan.first_hop)
        if self.overhead_frames is None:
            return calls
        return new_frames + windows * context + calls * self.overhead_frames

    def _max_call_work(self) -> float:
        """Return the work of a call with as many windows as fit."""
        longest = self.plan.left + self.plan.first_hop + self.plan.right
        frames = self.limits.windows * longest
        if self.limits.padded_frames is not None:
            frames = min(frames, self.limits.padded_frames)
        return self.work(frames, 1)

    def _windows_per_call(self, streams: int, frames: float) -> float:
        """Return the number of windows of `frames` frames in a call when all streams wait."""
        limits = self.limits
        fitting: float = limits.windows
        if limits.padded_frames is not None:
            fitting = min(fitting, limits.padded_frames / frames)
        return max(1.0, min(fitting, streams / self.devices))


class LoadEstimate:
    """Predict the device time that streams need within each of HORIZONS_S.

    A stream with a long buffer needs less, and one that has not started needs its first window.
    Only the devices are measured. A stream whose engine is too slow needs no more than the engine
    sends, and its late windows do not count. Nothing is predicted until the codec is loaded and a
    cost is known.

    `call_finished` runs on the decode threads, everything else on the event loop. Each deque is
    changed by one side and copied in one step. Times are in seconds, on one clock of the caller's
    choice.
    """

    def __init__(self, engine_cost: Callable[[], EngineCost | None] | None = None) -> None:
        """`engine_cost` returns the cost of an engine inside this process, if it is known."""
        self._engine_cost = engine_cost
        self._capacity: DecodeCapacity | None = None
        self._s_per_frame: deque[float] = deque(maxlen=CALLS)
        self._sent: deque[SentWindow] = deque(maxlen=WINDOWS)
        self._late_since_s = -math.inf

    def codec_loaded(self, capacity: DecodeCapacity) -> None:
        """Predict for these devices from now on."""
        measured = capacity.measured
        known = [] if measured is None else [measured.s_per_frame] * MIN_CALLS
        self._s_per_frame = deque(known, maxlen=CALLS)
        self._capacity = capacity

    def call_finished(self, seconds: float, rows: int, longest_frames: int) -> None:
        """Record a call that kept a device busy for `seconds`."""
        assert self._capacity is not None
        self._s_per_frame.append(seconds / self._capacity.batch_work(rows, longest_frames))

    def window_sent(self, window: SentWindow) -> None:
        """Record a window of a stream."""
        self._sent.append(window)

    def stream_started_alone(self, now_s: float) -> None:
        """Ignore all windows sent before `now_s`; they are of streams that have ended."""
        self._late_since_s = now_s

    def shortage(
        self, streams: Collection[Stream], new_stream: Stream, utilisation: float, now_s: float
    ) -> Shortage | None:
        """Return the reason why the new stream or another stream would underrun, or None.

        `utilisation` is the share of the device time that streams may need.
        """
        if self._capacity is None:
            return None
        if self.underrunning(now_s):
            return "late"
        demand = Demand.of([stream.state() for stream in (*streams, new_stream)])
        relevant = demand.first_due_in_s < HORIZONS_S  # no stream can underrun earlier
        if len(self._s_per_frame) >= MIN_CALLS:
            s_per_frame = self._usual_s_per_frame
            busy_s = self._capacity.busy_s(demand, utilisation, s_per_frame)
            blocked_s = self._capacity.blocked_s(demand, s_per_frame)
            too_much = (busy_s > utilisation * HORIZONS_S) | (busy_s + blocked_s > HORIZONS_S)
            if (too_much & relevant).any():
                return "decode"
        if self._engine_cost and (cost := self._engine_cost()):
            too_much = _engine_busy_s(demand, cost) > utilisation * HORIZONS_S
            if (too_much & relevant).any():
                return "engine"
        return None

    def underrunning(self, now_s: float) -> bool:
        """True if the devices caused several underruns in the last UNDERRUN_MEMORY_S seconds."""
        since_s = max(now_s - UNDERRUN_MEMORY_S, self._late_since_s)
        s_per_frame = self._usual_s_per_frame if self._s_per_frame else math.inf
        recent = [
            window.late
            for window in list(self._sent)
            if window.at_s >= since_s and self._could_be_in_time(window, s_per_frame)
        ]
        return sum(recent) >= max(MIN_UNDERRUNS, math.ceil(UNDERRUN_SHARE * len(recent)))

    def busy_s(self, states: Sequence[StreamState]) -> Horizons:
        """Return the seconds of each device that these streams need; 0 while no cost is known."""
        if self._capacity is None or not self._s_per_frame:
            return np.zeros_like(HORIZONS_S)
        return self._capacity.busy_s(Demand.of(states), math.inf, self._usual_s_per_frame)

    @property
    def _usual_s_per_frame(self) -> float:
        """Cost of a frame at the SLOW_CALL quantile, since calls are slower under load."""
        costs = sorted(self._s_per_frame.copy())
        return costs[int(SLOW_CALL * (len(costs) - 1))]

    def _could_be_in_time(self, window: SentWindow, s_per_frame: float) -> bool:
        """True if a free device would have decoded the window in time."""
        assert self._capacity is not None
        return window.slack_s >= FAIR_SLACK_S + self._capacity.work(window.frames, 1) * s_per_frame


def _engine_busy_s(demand: Demand, cost: EngineCost) -> Horizons:
    """Return the engine's seconds for codes that are due and have not arrived."""
    missing_s = np.maximum(0.0, demand.due_s - demand.arrived_s[:, None])
    engine_s = missing_s * demand.speed[:, None] * cost.s_per_voice_s
    return np.where(engine_s > 0, np.maximum(engine_s, cost.min_s), 0.0).sum(0)


def _row(state: StreamState) -> tuple[float, ...]:
    """Return the state's numbers in the order of the columns of `Demand.of`."""
    return (
        state.window_s,
        state.growth,
        max(state.window_s, state.max_window_s),
        state.speed,
        state.lead_s,
        state.left_s,
        state.arrived_s,
        state.pace,
    )
