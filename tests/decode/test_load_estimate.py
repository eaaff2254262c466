"""The predicted load of one more stream, and the effect of obeying it in virtual time."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from app.audio.playback_clock import PlaybackClock
from app.decode.load_estimate import (
    FAIR_SLACK_S,
    HORIZONS_S,
    MIN_CALLS,
    UNDERRUN_MEMORY_S,
    CallCost,
    DecodeCapacity,
    Demand,
    LoadEstimate,
    SentWindow,
    Shortage,
    StreamState,
)
from app.decode.queue import BatchLimits
from app.engine import EngineCost
from app.tokens.windows import LEAD_MARGIN_S, WindowPlan

FRAME_S = 0.02  # of sound
BOUND = 0.8  # MAX_DECODE_LOAD
WAIT_S = 3.0  # ADMISSION_WAIT_S
AUDIBLE_S = 0.05  # of a gap, as in the measured overload
HOP, CONTEXT = 20, 60
PLAN = WindowPlan(first_hop=HOP, max_hop=HOP, left=CONTEXT, right=0, seamless=False)
STEADY = StreamState(
    max_window_s=0.4, started=True
)  # a client that hears as fast as it gets, for ever
AHEAD = replace(STEADY, lead_s=1.0)
FRESH = StreamState(max_window_s=0.4)


@dataclass(frozen=True)
class Listed:
    """A stream that stays as it is."""

    fixed: StreamState = AHEAD

    def state(self) -> StreamState:
        return self.fixed


def estimate_of(capacity: DecodeCapacity) -> LoadEstimate:
    load = LoadEstimate()
    load.codec_loaded(capacity)
    return load


def estimate(
    limits: BatchLimits | None = None,
    *,
    frame_s: float = 0.001,
    devices: int = 1,
    plan: WindowPlan = PLAN,
    engine_cost: EngineCost | None = None,
) -> LoadEstimate:
    """Devices on which a frame costs that much; windows have 20 frames, and 60 of context."""
    limits = limits or BatchLimits(1, call_overhead_frames=0)
    load = LoadEstimate(lambda: engine_cost)
    cost = CallCost(limits.call_overhead_frames, frame_s)
    load.codec_loaded(DecodeCapacity(limits, devices, plan, 1 / FRAME_S, cost))
    return load


def needed(load: LoadEstimate, streams: int, state: StreamState = STEADY) -> float:
    """The share of the devices' time that streams in this state need, for as long as is looked
    ahead.
    """
    return float(load.busy_s([state] * streams)[-1]) / HORIZONS_S[-1]


def busy_s(load: LoadEstimate, *states: StreamState, horizon_s: float = 3.2) -> float:
    """Seconds of the device that streams need within (nearly) so many."""
    return float(load.busy_s(states)[np.argmin(abs(HORIZONS_S - horizon_s))])


def shortage(
    load: LoadEstimate,
    streams: int,
    newcomer: StreamState = AHEAD,
    bound: float = BOUND,
    now_s: float = 50.0,
) -> Shortage | None:
    return load.shortage([Listed()] * streams, Listed(newcomer), bound, now_s)


def test_nothing_is_predicted_before_a_cost_is_known() -> None:
    load = LoadEstimate()
    assert shortage(load, 100) is None
    load.codec_loaded(DecodeCapacity(BatchLimits(8, call_overhead_frames=0), 1, PLAN, 1 / FRAME_S))
    for _ in range(MIN_CALLS):
        assert shortage(load, 100) is None
        load.call_finished(9.0, 1, 10)
    assert shortage(load, 100) == "decode"


@pytest.mark.fault(60)
def test_a_cost_measured_at_the_start_counts_before_the_first_call() -> None:
    """A window of 80 frames at 1 ms each, every 0.4 s."""
    limits = BatchLimits(1, call_overhead_frames=0)
    load = estimate_of(DecodeCapacity(limits, 1, PLAN, 1 / FRAME_S, CallCost(0, 0.001)))
    assert shortage(load, 3) is None
    assert shortage(load, 4) == "decode"


@pytest.mark.fault(60)
@pytest.mark.parametrize("call_frames", [20, 60])
def test_first_windows_count_for_streams_that_have_not_begun(call_frames: int) -> None:
    """A device makes so many of them, and no more, before the sound of the first one has been
    heard.
    """
    load = estimate(BatchLimits(1, call_overhead_frames=call_frames))
    beginning = Listed(
        replace(FRESH, left_s=0.1)
    )  # short answers: nothing but their beginning counts
    first_s = (call_frames + HOP) * 0.001
    admitted = next(n for n in range(100) if load.shortage([beginning] * n, beginning, BOUND, 0.0))
    horizon_s = min(horizon_s for horizon_s in HORIZONS_S if horizon_s > 0.4 - LEAD_MARGIN_S)
    assert admitted == int(BOUND * horizon_s / first_s)


@pytest.mark.fault(60)
def test_what_is_due_may_wait_for_a_call_that_is_not() -> None:
    """Nine windows of 80 ms make a call: it does not begin where another stream is due in 0.3 s."""
    load = estimate(BatchLimits(9, call_overhead_frames=0))
    due, later = (
        replace(STEADY, lead_s=0.3, left_s=0.4),
        Listed(replace(STEADY, lead_s=5.0, left_s=0.4)),
    )
    assert load.shortage([Listed(due)], later, BOUND, 0.0) is None
    assert load.shortage([Listed(due), *[later] * 8], later, 10.0, 0.0) == "decode"
    assert load.shortage([later] * 9, later, 10.0, 0.0) is None


@pytest.mark.parametrize("devices", [1, 2])
def test_a_stream_needs_its_frames_and_its_calls_in_real_time(devices: int) -> None:
    """Windows of 80 frames and a call's 20 at 1 ms each, every 0.4 s: a quarter of a device."""
    load = estimate(BatchLimits(1, call_overhead_frames=20), devices=devices)
    for streams in (1, 3, 4):
        assert needed(load, streams) == pytest.approx(0.25 * streams / devices)


def test_windows_that_share_a_call_share_its_price() -> None:
    apart, together = (estimate(BatchLimits(most, call_overhead_frames=80)) for most in (1, 8))
    assert needed(apart, 8) == pytest.approx(8 * 0.160 / 0.4)
    assert needed(together, 8) == pytest.approx(8 * 0.090 / 0.4)
    assert needed(together, 1) == needed(apart, 1)  # there is no other to share with


def test_a_padded_limit_bounds_what_shares_a_call() -> None:
    """160 padded frames hold two windows of 80."""
    load = estimate(BatchLimits(8, padded_frames=160, call_overhead_frames=80))
    assert needed(load, 8) == pytest.approx(8 * 0.120 / 0.4)


def test_where_frames_are_free_calls_are_all_that_counts() -> None:
    load = estimate_of(DecodeCapacity(BatchLimits(8), 1, PLAN, 1 / FRAME_S))
    for number in range(MIN_CALLS):
        load.call_finished(0.1, 1 + number % 3, 20 + number)
    assert needed(load, 1) == pytest.approx(0.25)
    assert needed(load, 8) == pytest.approx(0.25)


def test_a_first_call_that_takes_seconds_does_not_count() -> None:
    limits = BatchLimits(1, call_overhead_frames=0)
    load = estimate_of(DecodeCapacity(limits, 1, PLAN, 1 / FRAME_S))
    load.call_finished(5.0, 1, 30)
    for _ in range(MIN_CALLS):
        load.call_finished(0.03, 1, 30)
    assert needed(load, 4) == pytest.approx(4 * 0.08 / 0.4)


@given(
    st.integers(1, 200), st.integers(1, 4), st.integers(1, 32), st.sampled_from([None, 0, 8, 600])
)
def test_one_more_stream_never_needs_less(
    streams: int, devices: int, most: int, call_frames: int | None
) -> None:
    load = estimate(BatchLimits(most, call_overhead_frames=call_frames), devices=devices)
    assert needed(load, streams + 1) >= needed(load, streams) - 1e-9


def test_a_stream_needs_nothing_until_the_sound_in_its_clients_hands_is_heard() -> None:
    load = estimate()
    assert busy_s(load, replace(STEADY, lead_s=3.3)) == 0
    assert busy_s(load, replace(STEADY, lead_s=1.6 + LEAD_MARGIN_S)) == pytest.approx(
        busy_s(load, STEADY, horizon_s=1.6)
    )
    assert busy_s(load, replace(STEADY, lead_s=-5.0)) == busy_s(load, STEADY)


def test_windows_are_due_as_a_whole_when_the_sound_before_them_has_been_heard() -> None:
    load = estimate()
    one = busy_s(load, replace(STEADY, lead_s=3.15))
    assert one == pytest.approx((HOP + CONTEXT) * 0.001)
    assert busy_s(load, replace(STEADY, lead_s=2.9)) == one
    assert busy_s(load, replace(STEADY, lead_s=2.8)) == pytest.approx(2 * one)


def test_an_answer_needs_no_more_than_is_left_of_it() -> None:
    """Twice as many streams fit where each has half of the horizon left."""
    load = estimate()
    assert busy_s(load, *[replace(STEADY, left_s=1.6)] * 6) == pytest.approx(
        busy_s(load, *[STEADY] * 3)
    )


@pytest.mark.fault(59)
def test_a_stream_needs_no_more_than_its_engine_gives() -> None:
    load = estimate()
    half = replace(STEADY, pace=0.5)
    assert busy_s(load, half) == pytest.approx(busy_s(load, STEADY, horizon_s=1.6))
    assert busy_s(load, replace(half, arrived_s=0.8)) == pytest.approx(0.75 * busy_s(load, STEADY))
    assert busy_s(load, *[replace(STEADY, pace=0.0)] * 9) == 0
    assert busy_s(load, *[replace(FRESH, pace=0.0)] * 9) == 0


@pytest.mark.fault(59)
def test_a_stream_that_asks_for_more_than_its_share_leaves_room_for_another() -> None:
    """Four times real time would be four fifths of the device."""
    load = estimate()  # carries five
    fast = Listed(replace(AHEAD, speed=4.0))
    assert load.shortage([fast], Listed(), BOUND, 0.0) is None
    assert load.shortage([fast, Listed(), Listed()], Listed(), BOUND, 0.0) == "decode"


def test_a_newcomer_is_looked_at_as_what_it_is() -> None:
    load = estimate()
    assert shortage(load, 3, AHEAD) is None
    assert shortage(load, 3, replace(AHEAD, speed=2.0)) == "decode"


def late_window(at_s: float = 10.0, *, late: bool = True, slack_s: float = 10.0) -> SentWindow:
    return SentWindow(at_s, HOP, slack_s, late)


@pytest.mark.parametrize(
    ("lates", "late"),
    [
        ([], False),
        ([True], False),
        ([True, True], True),
        ([True, *[False] * 90], False),
        ([True] * 9 + [False] * 82, False),
        ([True] * 10 + [False] * 80, True),
    ],
)
def test_a_single_accident_is_none_and_a_tenth_of_the_windows_is_one(
    lates: list[bool], late: bool
) -> None:
    load = estimate()
    for was_late in lates:
        load.window_sent(late_window(late=was_late))
    assert load.underrunning(10.5) is late
    assert (shortage(load, 1, bound=10.0, now_s=10.5) == "late") is late
    assert not load.underrunning(10.1 + UNDERRUN_MEMORY_S)
    load.stream_started_alone(10.2)  # all that were late have ended
    assert not load.underrunning(10.5)


@pytest.mark.fault(59)
@pytest.mark.parametrize(
    ("slack_s", "late"), [(-3.0, False), (FAIR_SLACK_S, False), (FAIR_SLACK_S + 0.03, True)]
)
def test_a_window_whose_codes_came_too_late_for_a_free_device_is_not_the_devices(
    slack_s: float, late: bool
) -> None:
    """Its own decoding takes 20 ms."""
    load = estimate()
    for _ in range(50):
        load.window_sent(late_window(slack_s=slack_s))
    assert load.underrunning(10.5) is late


@pytest.mark.fault(60)
def test_an_engine_on_this_machine_makes_so_many_first_sentences_and_no_more() -> None:
    load = estimate(frame_s=1e-6, engine_cost=EngineCost(s_per_voice_s=0.02, min_s=0.04))
    admitted = next(
        n for n in range(100) if load.shortage([Listed(FRESH)] * n, Listed(FRESH), BOUND, 0.0)
    )
    horizon_s = min(horizon_s for horizon_s in HORIZONS_S if horizon_s > 0.4 - LEAD_MARGIN_S)
    assert admitted == int(BOUND * horizon_s / 0.04)
    assert load.shortage([Listed(FRESH)] * 50, Listed(FRESH), BOUND, 0.0) == "engine"


@pytest.mark.fault(60)
def test_such_an_engine_has_nothing_more_to_do_for_what_has_arrived() -> None:
    load = estimate(frame_s=1e-6, engine_cost=EngineCost(s_per_voice_s=0.02, min_s=0.04))
    arrived = Listed(replace(AHEAD, left_s=5.0, arrived_s=5.0))
    assert load.shortage([arrived] * 100, Listed(), BOUND, 0.0) is None
    unmade = Listed(replace(AHEAD, lead_s=12.0))  # 14 s of sound within the longest horizon
    assert load.shortage([unmade] * 70, unmade, BOUND, 0.0) is None
    assert load.shortage([unmade] * 80, unmade, BOUND, 0.0) == "engine"


@pytest.mark.parametrize(
    ("growth", "max_window_s", "sound_s", "windows"),
    [
        (1.0, 0.4, 4.0, 10),
        (2.0, 9.9, 0.4, 1),
        (2.0, 9.9, 2.8, 3),
        (2.0, 1.6, 6.0, 5),
        (2.0, 0.8, 2.8, 4),
    ],
)
def test_windows_grow_up_to_the_longest(
    growth: float, max_window_s: float, sound_s: float, windows: float
) -> None:
    """0.4 s, 0.8 s, 1.6 s and so on."""
    demand = Demand.of([StreamState(window_s=0.4, growth=growth, max_window_s=max_window_s)])
    assert demand.windows(np.full((1, 1), sound_s))[0, 0] == pytest.approx(windows, rel=1e-3)


@dataclass(eq=False)
class Answer:
    """A listener's answer: its first codes, and from then on `pace` times as many as it hears."""

    machine: Machine
    asked_s: float
    frames: int
    pace: float
    hop: int
    begun_s: float = 0.0
    done: int = 0
    gaps: int = 0
    playback: PlaybackClock = field(default_factory=PlaybackClock)

    @property
    def ready_s(self) -> float:
        """When the codes of its next window are there."""
        return self.begun_s + 0.05 + min(self.frames, self.done + self.hop) * FRAME_S / self.pace

    def deadline_s(self, now_s: float) -> float:
        return now_s + self.playback.lead_s(now_s) if self.done else self.begun_s + 0.1

    def state(self) -> StreamState:
        now_s = self.machine.now_s
        arrived = (
            min(self.frames, max(0.0, now_s - self.begun_s - 0.05) * self.pace / FRAME_S)
            - self.done
        )
        return StreamState(
            window_s=self.hop * FRAME_S,
            growth=2.0 if self.machine.longest > self.hop else 1.0,
            max_window_s=max(self.hop, self.machine.longest) * FRAME_S,
            started=self.done > 0,
            lead_s=self.playback.lead_s(now_s),
            left_s=max(0.5, (self.frames - self.done) * FRAME_S),
            arrived_s=max(0.0, arrived) * FRAME_S,
            pace=self.pace,
        )


@dataclass
class Machine:
    """A device that carries so many streams, were every call full, and how windows are cut."""

    carries: float
    call_frames: int
    windows: int
    hop: int
    context: int
    pace: float
    longest: int = 0  # windows double from `hop` up to this
    now_s: float = 0.0

    @property
    def full_call_s(self) -> float:
        """Longest time of a call, after which waiting requests are looked at again."""
        return max(self.hop, self.longest) * FRAME_S * self.windows / self.carries

    @property
    def is_sane(self) -> bool:
        """Return if the second window, at most twice as long, can wait for three full calls."""
        growth = 2 if self.longest > self.hop else 1
        return self.hop * FRAME_S * (1 - growth / self.pace) > 3 * self.full_call_s

    @property
    def frame_s(self) -> float:
        """Cost of a frame: a call costs `call_frames` and those of its windows."""
        call_frames = self.call_frames + self.windows * (self.hop + self.context)
        return self.hop * FRAME_S * self.windows / self.carries / call_frames

    def estimate(self, *, measured: bool) -> LoadEstimate:
        plan = WindowPlan(self.hop, max(self.hop, self.longest), self.context, 1, seamless=False)
        cost = CallCost(self.call_frames, self.frame_s) if measured else None
        limits = BatchLimits(self.windows, call_overhead_frames=self.call_frames)
        return estimate_of(DecodeCapacity(limits, 1, plan, 1 / FRAME_S, cost))

    def run(
        self,
        arrivals: Sequence[float],
        *,
        bound: float = BOUND,
        wait_s: float = WAIT_S,
        measured: bool = True,
    ) -> tuple[list[Answer], int]:
        """Everything that comes, in virtual time: the answers that began, and how many requests
        were refused.
        """
        load, answers, refused = self.estimate(measured=measured), list[Answer](), 0
        coming = deque(sorted(arrivals))
        waiting: deque[Answer] = deque()
        self.now_s = 0.0
        while coming or waiting or any(answer.done < answer.frames for answer in answers):
            while coming and coming[0] <= self.now_s:
                waiting.append(
                    Answer(self, coming.popleft(), frames=400, pace=self.pace, hop=self.hop)
                )
            playing = [answer for answer in answers if answer.done < answer.frames]
            while waiting and self._admits(load, playing, waiting[0], bound):
                waiting[0].begun_s = self.now_s
                playing.append(waiting[0])
                answers.append(waiting.popleft())
            while waiting and self.now_s - waiting[0].asked_s >= wait_s:
                waiting.popleft()
                refused += 1
            ready = sorted(
                (a for a in playing if a.ready_s <= self.now_s),
                key=lambda a: a.deadline_s(self.now_s),
            )
            if ready:
                self._decode(load, ready[: self.windows])
            else:
                rechecked = [self.now_s + 0.05] if waiting else []
                self.now_s = min(
                    [*rechecked, *list(coming)[:1], *(answer.ready_s for answer in playing)],
                    default=0.0,
                )
        return answers, refused

    def _admits(
        self, load: LoadEstimate, playing: Sequence[Answer], newcomer: Answer, bound: float
    ) -> bool:
        """Decide as `Admission` does."""
        if not playing:
            load.stream_started_alone(self.now_s)
        return (
            not playing
            or bound == math.inf
            or load.shortage(playing, newcomer, bound, self.now_s) is None
        )

    def _decode(self, load: LoadEstimate, batch: Sequence[Answer]) -> None:
        asked_s = {id(answer): max(answer.ready_s, answer.begun_s) for answer in batch}
        deadlines_s = {id(answer): answer.deadline_s(self.now_s) for answer in batch}
        lengths = [min(a.done, self.context) + a.hop for a in batch]
        call_s = (self.call_frames + len(batch) * max(lengths)) * self.frame_s
        load.call_finished(call_s, len(batch), max(lengths))
        self.now_s += call_s
        for answer, frames in zip(batch, lengths, strict=True):
            new_s = min(answer.hop, answer.frames - answer.done) * FRAME_S
            late = answer.playback.underrunning(self.now_s)
            load.window_sent(
                SentWindow(self.now_s, frames, deadlines_s[id(answer)] - asked_s[id(answer)], late)
            )
            answer.gaps += late and answer.playback.lead_s(self.now_s) < -AUDIBLE_S
            answer.playback.feed(self.now_s, self.now_s, new_s)
            answer.done += answer.hop
            answer.hop = max(answer.hop, min(self.longest, 2 * answer.hop))


MACHINES = st.builds(
    Machine,
    carries=st.floats(8, 24),
    call_frames=st.sampled_from([0, 8, 40]),
    windows=st.sampled_from([1, 2, 4, 8]),
    hop=st.sampled_from([20, 40]),
    context=st.sampled_from([0, 20, 50]),
    pace=st.sampled_from([1.6, 2.5, 8.0]),
    longest=st.sampled_from([0, 60]),
)


def crowd(machine: Machine, seed: int, factor: float) -> list[float]:
    """A listener, and ten seconds later arrivals at `factor` times what the machine carries."""
    draw, rate = random.Random(seed), factor * machine.carries / (400 * FRAME_S)
    arrivals = [0.0]
    while arrivals[-1] < 30:
        arrivals.append((arrivals[-1] if len(arrivals) > 1 else 10.0) + draw.expovariate(rate))
    return arrivals


def with_gaps(answers: Sequence[Answer]) -> int:
    return sum(answer.gaps > 0 for answer in answers)


@pytest.mark.process
@pytest.mark.fault(24)
@settings(max_examples=20, deadline=None)
@given(
    machine=MACHINES,
    seed=st.integers(0, 99),
    wait_s=st.sampled_from([0.0, WAIT_S]),
    measured=st.booleans(),
)
def test_in_a_crowd_admitted_streams_hear_no_gap_and_the_device_is_used(
    machine: Machine, seed: int, wait_s: float, measured: bool
) -> None:
    assume(machine.is_sane)
    answers, refused = machine.run(crowd(machine, seed, 10), wait_s=wait_s, measured=measured)
    heard_s = sum(answer.done for answer in answers) * FRAME_S
    assert refused > len(answers)
    assert with_gaps(answers) <= 0.02 * len(answers)
    assert heard_s >= 0.5 * machine.carries * 20


@pytest.mark.fault(60)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(machine=MACHINES, burst=st.integers(2, 60))
@example(
    machine=Machine(carries=10, call_frames=8, windows=4, hop=20, context=50, pace=8.0), burst=50
)
@example(  # a request begins after a call of 0.2 s that ends after its limit
    machine=Machine(carries=14.75, call_frames=40, windows=4, hop=40, context=50, pace=8.0),
    burst=14,
)
def test_in_a_burst_at_a_cold_start_admitted_streams_hear_no_gap(
    machine: Machine, burst: int
) -> None:
    """All at once, nothing seen before: those that cannot be kept in sound yet wait, in order.

    An engine at 1.6 times real time leaves their second windows no time to wait for one another.
    """
    assume(machine.is_sane and machine.pace > 2)
    answers, refused = machine.run([0.0] * burst)
    assert with_gaps(answers) == 0
    assert len(answers) >= min(burst, 0.5 * machine.carries)
    assert len(answers) + refused == burst
    limit_s = WAIT_S + machine.full_call_s + 0.05
    assert all(answer.begun_s - answer.asked_s <= limit_s for answer in answers)


@pytest.mark.fault(60)
def test_a_wait_lets_more_of_a_burst_begin() -> None:
    """Answers of 8 s on a device that carries 12: those that came first get ahead of their
    listeners.
    """
    machine = Machine(carries=12, call_frames=8, windows=4, hop=20, context=50, pace=8.0)
    at_once, _ = machine.run([0.0] * 50, wait_s=0.0)
    in_time, _ = machine.run([0.0] * 50)
    assert with_gaps(in_time) == 0
    assert len(in_time) >= len(at_once) + 3


def test_without_it_every_listener_hears_gaps() -> None:
    machine = Machine(carries=12, call_frames=8, windows=4, hop=20, context=50, pace=2.0)
    answers, _ = machine.run(crowd(machine, 1, 3)[:60], bound=math.inf)
    assert with_gaps(answers) > 0.5 * len(answers)


@pytest.mark.parametrize("pace", [1.3, 8.0])
@pytest.mark.parametrize("measured", [False, True])
def test_half_of_what_the_device_carries_is_never_refused(pace: float, measured: bool) -> None:
    machine = Machine(carries=12, call_frames=8, windows=4, hop=20, context=50, pace=pace)
    together = [10.0 + 0.3 * number for number in range(int(machine.carries / 2))]
    answers, refused = machine.run([0.0, *together], wait_s=0.0, measured=measured)
    assert refused == 0
    assert len(answers) > 4
