"""What one more stream would cost: the prediction, and in virtual time what comes of obeying it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.decode.capacity import LATE_S, LEAST_CALLS, Capacity, Heard
from app.decode.queue import BatchLimits
from app.speech.playhead import Playhead

FRAME_S = 0.02  # of sound
BOUND = 0.8  # ADMISSION_UTILISATION


def observed(limits: BatchLimits, *, frame_s: float, devices: int = 1, exact: bool = False) -> Capacity:
    """A device on which a frame costs that much, and one listener's windows: 20 frames, and 60 of context."""
    hop, context = 20, 60
    capacity = Capacity(limits, devices, exact=exact)
    for number in range(LEAST_CALLS):
        frames = hop + context
        capacity.called((frames + (limits.call_frames or 0)) * frame_s, 1, frames)
        capacity.heard(Heard(number * hop * FRAME_S, frames, hop * FRAME_S, late=False))
    return capacity


def test_nothing_is_predicted_before_enough_was_seen() -> None:
    capacity = Capacity(BatchLimits(8), 1)
    for number in range(LEAST_CALLS):
        assert capacity.needed(100) is None
        capacity.called(9.0, 1, 10)
        capacity.heard(Heard(number, 10, 0.0, late=False))
    assert capacity.needed(100) is None  # no sound at all
    capacity.heard(Heard(9, 10, 0.2, late=False))
    assert capacity.needed(100) is not None


@pytest.mark.parametrize("devices", [1, 2])
def test_a_stream_needs_its_frames_and_its_calls_in_real_time(devices: int) -> None:
    """Windows of 80 frames and a call's 20 at 1 ms each, every 0.4 s: a quarter of a device."""
    capacity = observed(BatchLimits(1, call_frames=20), frame_s=0.001, devices=devices)
    for streams in (1, 3, 4):
        assert capacity.needed(streams) == pytest.approx(0.25 * streams / devices)


def test_windows_that_share_a_call_share_its_price() -> None:
    apart, together = (observed(BatchLimits(most, call_frames=80), frame_s=0.001) for most in (1, 8))
    assert apart.needed(8) == pytest.approx(8 * 0.160 / 0.4)
    assert together.needed(8) == pytest.approx(8 * 0.090 / 0.4)
    assert together.needed(1) == apart.needed(1)  # there is nobody to share with


def test_a_padded_limit_bounds_what_shares_a_call() -> None:
    """160 padded frames hold two windows of 80."""
    capacity = observed(BatchLimits(8, padded_frames=160, call_frames=80), frame_s=0.001)
    assert capacity.needed(8) == pytest.approx(8 * 0.120 / 0.4)


def test_where_frames_are_free_calls_are_all_that_counts() -> None:
    capacity = Capacity(BatchLimits(8), 1)
    for number in range(LEAST_CALLS):
        capacity.called(0.1, 1 + number % 3, 20 + number)
        capacity.heard(Heard(number, 20 + number, 0.4, late=False))
    assert capacity.needed(1) == pytest.approx(0.25)
    assert capacity.needed(8) == pytest.approx(0.25)


def test_an_engine_that_runs_ahead_needs_no_more_than_real_time() -> None:
    """The same windows within a tenth of the time: the device is busy ten times as much, and nobody needs it to be."""
    capacity = Capacity(BatchLimits(1, call_frames=20), 1)
    for number in range(50):
        capacity.called(0.1, 1, 80)
        capacity.heard(Heard(number * 0.04, 80, 0.4, late=False))
    assert capacity.needed(1) == pytest.approx(0.25)


def test_a_first_call_that_takes_seconds_does_not_count() -> None:
    capacity = Capacity(BatchLimits(1, call_frames=0), 1)
    capacity.called(5.0, 1, 30)
    for number in range(LEAST_CALLS):
        capacity.called(0.03, 1, 30)
        capacity.heard(Heard(number, 30, 0.4, late=False))
    assert capacity.needed(4) == pytest.approx(4 * 0.03 / 0.4)


@given(st.integers(1, 200), st.integers(1, 4), st.integers(1, 32), st.sampled_from([None, 0, 8, 600]))
def test_one_more_stream_never_needs_less(streams: int, devices: int, most: int, call_frames: int | None) -> None:
    capacity = observed(BatchLimits(most, call_frames=call_frames), frame_s=0.001, devices=devices)
    fewer, more = capacity.needed(streams), capacity.needed(streams + 1)
    assert fewer is not None
    assert more is not None
    assert more >= fewer - 1e-9


def test_a_stream_that_has_just_begun_counts_twice() -> None:
    capacity = observed(BatchLimits(1, call_frames=0), frame_s=0.001)  # a fifth of the device each
    assert capacity.starving(2, 0.61, now_s=50.0) is None
    assert capacity.starving(3, 0.61, now_s=50.0) == "decode"
    capacity.began(50.0, alone=False)
    assert capacity.starving(2, 0.61, now_s=50.5) == "decode"
    assert capacity.starving(1, 0.61, now_s=50.5) is None
    assert capacity.starving(2, 0.61, now_s=51.1) is None


def test_with_an_exact_codec_it_does_not() -> None:
    capacity = observed(BatchLimits(1, call_frames=0), frame_s=0.001, exact=True)
    capacity.began(50.0, alone=False)
    assert capacity.starving(2, 0.61, now_s=50.5) is None
    assert capacity.starving(3, 0.61, now_s=50.5) == "decode"


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
def test_a_single_accident_is_none_and_a_tenth_of_the_windows_is_one(lates: list[bool], late: bool) -> None:
    capacity = Capacity(BatchLimits(8), 1)
    for was_late in lates:
        capacity.heard(Heard(10.0, 20, 0.4, late=was_late))
    assert capacity.late(10.5) is late
    assert (capacity.starving(1, 10.0, 10.5) == "late") is late
    assert not capacity.late(10.1 + LATE_S)
    capacity.began(10.2, alone=False)
    assert capacity.late(10.5) is late
    capacity.began(10.2, alone=True)  # all who were late have gone
    assert not capacity.late(10.5)


@dataclass
class Stream:
    """A listener: its first codes, and from then on `pace` times as many as it hears."""

    begun_s: float
    frames: int
    done: int = 0
    gaps: int = 0
    playhead: Playhead = field(default_factory=Playhead)
    dry_s: float = math.inf


@dataclass(frozen=True)
class Machine:
    """A device that carries so many streams, were every call full, and how windows are cut."""

    carries: float
    call_frames: int
    windows: int
    hop: int
    context: int
    pace: float

    @property
    def is_sane(self) -> bool:
        """Whether the second window of a listener can wait for three full calls."""
        return self.hop * FRAME_S * (1 - 1 / self.pace) > 3 * self.hop * FRAME_S * self.windows / self.carries

    @property
    def limits(self) -> BatchLimits:
        return BatchLimits(self.windows, call_frames=self.call_frames)

    def ready_s(self, stream: Stream) -> float:
        """When the codes of its next window are there."""
        return stream.begun_s + 0.05 + min(stream.frames, stream.done + self.hop) * FRAME_S / self.pace

    def run(self, arrivals: list[float], admit: Callable[[Capacity, int, float], bool]) -> tuple[list[Stream], int]:
        """Everything that comes, in virtual time: the streams that were let in, and how many were not."""
        capacity, streams, refused, now_s = Capacity(self.limits, 1), [], 0, 0.0
        coming = sorted(arrivals, reverse=True)
        while coming or any(stream.done < stream.frames for stream in streams):
            playing = [stream for stream in streams if stream.done < stream.frames]
            ready = [stream for stream in playing if self.ready_s(stream) <= now_s]
            if coming and coming[-1] <= now_s:
                if admit(capacity, len(playing), coming.pop()):
                    streams.append(Stream(now_s, frames=400))
                    capacity.began(now_s, alone=not playing)
                else:
                    refused += 1
            elif ready:
                batch = sorted(ready, key=self._deadline_s)[: self.windows]
                now_s += self._decode(capacity, batch, now_s)
            else:
                now_s = min([*coming[-1:], *map(self.ready_s, playing)])
        return streams, refused

    def _deadline_s(self, stream: Stream) -> float:
        return stream.dry_s if stream.done else stream.begun_s + 0.1

    def _decode(self, capacity: Capacity, batch: list[Stream], now_s: float) -> float:
        frames = self.hop + self.context
        call_s = (self.call_frames + len(batch) * frames) * self.frame_s
        capacity.called(call_s, len(batch), frames)
        ends_s = now_s + call_s
        for stream in batch:
            audio_s = min(self.hop, stream.frames - stream.done) * FRAME_S
            late = stream.playhead.dry(ends_s)
            capacity.heard(Heard(ends_s, frames, audio_s, late=late))
            stream.gaps += late
            stream.playhead.feed(ends_s, ends_s, audio_s)
            stream.dry_s = max(ends_s, stream.dry_s if stream.done else ends_s) + audio_s
            stream.done += self.hop
        return call_s

    @property
    def frame_s(self) -> float:
        """What a frame costs: a call is `call_frames` and those of its windows."""
        call_frames = self.call_frames + self.windows * (self.hop + self.context)
        return self.hop * FRAME_S * self.windows / self.carries / call_frames


def predicted(capacity: Capacity, playing: int, now_s: float) -> bool:
    """As `Admission` decides."""
    return not playing or capacity.starving(playing, BOUND, now_s) is None


def crowd(machine: Machine, seed: int, factor: float) -> list[float]:
    """A listener, and ten seconds later arrivals at `factor` times what the machine carries."""
    draw, rate = random.Random(seed), factor * machine.carries / (400 * FRAME_S)
    arrivals = [0.0]
    while arrivals[-1] < 30:
        arrivals.append((arrivals[-1] if len(arrivals) > 1 else 10.0) + draw.expovariate(rate))
    return arrivals


@settings(max_examples=20, deadline=None)
@given(
    machine=st.builds(
        Machine,
        carries=st.floats(8, 24),
        call_frames=st.sampled_from([0, 8, 40]),
        windows=st.sampled_from([1, 2, 4, 8]),
        hop=st.sampled_from([20, 40]),
        context=st.sampled_from([0, 20, 50]),
        pace=st.sampled_from([1.6, 2.5, 8.0]),
    ),
    seed=st.integers(0, 99),
)
def test_in_a_crowd_those_who_are_let_in_hear_no_gap_and_the_device_is_used(machine: Machine, seed: int) -> None:
    assume(machine.is_sane)
    streams, refused = machine.run(crowd(machine, seed, 10), predicted)
    heard = sum(stream.done for stream in streams) * FRAME_S
    assert refused > len(streams)
    assert sum(stream.gaps > 0 for stream in streams) <= 0.02 * len(streams)
    assert heard >= 0.5 * machine.carries * 20


def test_without_it_everybody_hears_gaps() -> None:
    machine = Machine(carries=12, call_frames=8, windows=4, hop=20, context=50, pace=2.0)
    streams, _ = machine.run(crowd(machine, 1, 3)[:60], lambda *_: True)
    assert sum(stream.gaps > 0 for stream in streams) > 0.5 * len(streams)


@pytest.mark.parametrize("pace", [1.3, 8.0])
def test_half_of_what_the_device_carries_is_never_refused(pace: float) -> None:
    machine = Machine(carries=12, call_frames=8, windows=4, hop=20, context=50, pace=pace)
    together = [10.0 + 0.3 * number for number in range(int(machine.carries / 2))]
    streams, refused = machine.run([0.0, *together], predicted)
    assert refused == 0
    assert len(streams) > 4
