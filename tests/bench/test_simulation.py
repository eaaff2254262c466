"""The simulation: nothing is lost in it, it can be repeated, and it gives what can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from app.assembly import CPU_BATCH_FRAMES
from app.settings import Settings
from bench.cost import H200_EAGER, CallCost
from bench.load_shape import LONGEST_S, SHORTEST_S, answer_s
from bench.policies import POLICIES, Policy
from bench.simulation.case import Case, on_cpu, run, simulate
from bench.simulation.clock import Clock
from bench.simulation.engine import Engine, Pace
from stress_test.arrivals import poisson_arrivals

SHORT = Case(streams=40, cost=H200_EAGER, seconds=8, warm_up_s=2)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_frame_is_decoded_once(policy: Policy) -> None:
    streams, calls = run(replace(SHORT, policy=policy, seconds=4))
    assert sum(len(call.batch) for call in calls) == sum(len(stream.windows) for stream in streams)
    for stream in streams:
        edges = [(window.begin, window.end) for window in stream.windows]
        assert edges[0][0] == 0
        assert all(before[1] == after[0] for before, after in pairwise(edges))
        assert [window.last for window in stream.windows] == [False] * (len(edges) - 1) + [True]
        assert edges[-1][1] / 50 == pytest.approx(sum(audio_s for _, audio_s in stream.sent))


def test_the_device_is_never_in_two_calls() -> None:
    _, calls = run(SHORT)
    assert len(calls) > 100
    assert all(before.ends_s <= after.begun_s for before, after in pairwise(calls))


def test_a_seed_decides_everything() -> None:
    assert simulate(SHORT) == simulate(SHORT)
    assert simulate(SHORT) != simulate(replace(SHORT, seed=1))


def test_one_stream_is_heard_when_its_first_window_has_come_and_been_decoded() -> None:
    pace = Pace(first_token_s=0.1, step_s=0.01, stream_s=0.0, interval_tokens=5)
    case = Case(streams=1, cost=CallCost(0.02, 0.0), seconds=30, warm_up_s=5, host_s=0.0, pace=pace)
    outcome = simulate(case)
    # The first window wants 20 + 10 frames; they come in events of 1, 5, 5, ...: with the 31st.
    assert outcome.ttfa_ms_p50 == pytest.approx(100 + 30 * 10 + 20)
    assert outcome.added_ms_p99 == pytest.approx(20)
    assert outcome.underruns_per_stream == 0
    assert outcome.batch_mean == 1


def test_an_engine_slower_than_speech_is_heard_as_underruns() -> None:
    outcome = simulate(Case(streams=1, seconds=60, warm_up_s=5, pace=Pace(step_s=0.025)))
    assert outcome.streams_with_underrun == 1


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "deadline"])
def test_under_overload_batches_of_what_is_urgent_carry_more(policy: Policy) -> None:
    overload = replace(SHORT, streams=60)
    ours, theirs = simulate(overload), simulate(replace(overload, policy=policy))
    assert ours.audio_s_per_s > 1.2 * theirs.audio_s_per_s
    assert ours.ttfa_ms_p99 < theirs.ttfa_ms_p99


def test_lengths_that_do_not_fit_together_do_not_share_a_call() -> None:
    padding_counts = replace(
        SHORT, streams=100, cost=CallCost(0.0008, 12e-6, frame_steps=(32, 64, 128, 256, 384))
    )
    own, any_lengths = simulate(padding_counts), simulate(replace(padding_counts, own_calls=False))
    assert own.audio_s_per_s > 1.2 * any_lengths.audio_s_per_s
    assert own.ttfa_ms_p99 < any_lengths.ttfa_ms_p99


def test_a_second_batch_hides_what_the_host_does() -> None:
    busy = replace(SHORT, cost=CallCost(0.01, 30e-6), host_s=0.005, streams=100, batch_windows=4)
    assert simulate(busy).busy > 0.98
    assert simulate(replace(busy, second="never")).busy < 0.9


def test_two_devices_work_at_once() -> None:
    _, calls = run(on_cpu(Case(streams=4, seconds=8, warm_up_s=2)))
    assert any(after.begun_s < before.ends_s for before, after in pairwise(calls))


def test_the_defaults_are_the_services_own() -> None:
    case, fields = Case(), Settings.model_fields
    assert case.first_window_s == fields["default_playback_speed"].default
    assert case.overlap_s == fields["default_playback_overlap_speed"].default
    assert case.batch_windows == fields["max_batch_size"].default
    assert case.pace.interval_tokens == fields["stream_interval"].default
    assert on_cpu(case).padded_frames == CPU_BATCH_FRAMES["neucodec"]


class Heard:
    """Notes what it is fed, and when."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.events = clock, list[tuple[float, int, bool]]()

    def feed(self, tokens: int, *, ended: bool) -> None:
        self.events.append((round(self.clock(), 6), tokens, ended))


def test_the_engine_gives_one_token_then_several_and_slows_down_with_company() -> None:
    clock = Clock()
    engine, alone, other = Engine(clock, Pace(0.1, 0.01, 0.01, 3)), Heard(clock), Heard(clock)
    engine.generate(alone, 6)
    clock.at(5, lambda: (engine.generate(alone, 2), engine.generate(other, 1 + 3))[0])
    clock.run()
    assert alone.events[:3] == [(0.1, 1, False), (0.16, 3, False), (0.2, 2, True)]
    assert alone.events[3:] == [(5.1, 1, False), (5.12, 1, True)]
    assert other.events == [(5.1, 1, False), (5.16, 3, True)]


def test_answers_are_as_long_as_sentences() -> None:
    rng = np.random.default_rng(0)
    lengths_s = [answer_s(rng) for _ in range(2000)]
    assert min(lengths_s) >= SHORTEST_S and max(lengths_s) <= LONGEST_S
    assert 4.5 < np.mean(lengths_s) < 5.3


def test_requests_come_at_their_rate() -> None:
    arrivals_s = poisson_arrivals(np.random.default_rng(0), 20, 100)
    assert arrivals_s == sorted(arrivals_s) and arrivals_s[0] >= 0 and arrivals_s[-1] <= 100
    assert len(arrivals_s) == pytest.approx(2000, rel=0.1)
