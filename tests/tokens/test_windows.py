"""The window schedule: every frame once, enough context, no underrun in real time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tokens.windows import StreamProgress, Window, WindowPlan, WindowSchedule, plan_windows
from tests.fakes import window_spec

MOST_FRAMES = 400


@st.composite
def plans(
    draw: st.DrawFn, *, exact: st.SearchStrategy[bool], seeded: st.SearchStrategy[bool]
) -> WindowPlan:
    left, right = draw(st.integers(0, 50)), draw(st.integers(0, 12))
    spec = window_spec(
        draw(st.sampled_from([11.71875, 50, 93.75])),
        left,
        right,
        left + max(right, 1) + draw(st.integers(1, 200)),
        exact=draw(exact),
    )
    return plan_windows(
        spec,
        first_window_s=draw(st.floats(0.1, 10)),
        overlap_s=draw(st.floats(0, 2)),
        whole=draw(st.booleans()),
        seeded=draw(seeded),
    )


ANY_PLAN = plans(exact=st.booleans(), seeded=st.booleans())
SEEDED_LADDER = plans(exact=st.just(False), seeded=st.just(True))
SUPPLY = st.builds(
    StreamProgress,
    frames=st.just(0),
    s_per_frame=st.one_of(st.just(0.0), st.floats(1e-6, 1)),
    frame_s=st.just(0.02),
    lead_s=st.floats(-5, 100),
    decode_s=st.floats(0, 10),
)


def run(plan: WindowPlan, total: int, data: st.DataObject) -> list[Window]:
    """All windows of `total` frames that arrive, and sound that is heard, at any pace at all."""
    schedule, windows, arrived = WindowSchedule(plan), [], 0
    while not schedule.finished:
        needed = min(total, schedule.frames_needed)
        arrived = max(arrived, needed, data.draw(st.integers(needed, total)))
        ended = arrived == total and (schedule.frames_needed > total or data.draw(st.booleans()))
        assert ended or arrived >= schedule.frames_needed
        windows.append(schedule.take(arrived, ended=ended, under_load=data.draw(st.booleans())))
        schedule.update(replace(data.draw(SUPPLY), frames=arrived))
    return windows


@given(plan=ANY_PLAN, total=st.integers(1, MOST_FRAMES), data=st.data())
def test_windows_cover_every_frame_once_with_their_context(
    plan: WindowPlan, total: int, data: st.DataObject
) -> None:
    windows = run(plan, total, data)
    assert [window.begin for window in windows] == [0, *(window.end for window in windows[:-1])]
    assert windows[-1].end == windows[-1].stop == total
    assert [window.last for window in windows] == [False] * (len(windows) - 1) + [True]
    for window in windows:
        assert window.begin < window.end
        assert window.start == max(0, window.begin - plan.left)
        assert window.last or window.stop == window.end + plan.right
        assert window.stop - window.start <= plan.left + plan.max_hop + plan.right


@given(plan=ANY_PLAN, total=st.integers(1, MOST_FRAMES), data=st.data())
def test_hops_grow_no_further_than_the_largest_window(
    plan: WindowPlan, total: int, data: st.DataObject
) -> None:
    windows = run(plan, total, data)
    assert all(window.end - window.begin <= plan.max_hop for window in windows[:-1])
    least = 1 if plan.seamless else plan.first_hop
    assert all(window.end - window.begin >= least for window in windows[:-1])


@given(plan=SEEDED_LADDER, total=st.integers(1, MOST_FRAMES), data=st.data())
def test_a_seeded_ladder_depends_on_neither_time_nor_load(
    plan: WindowPlan, total: int, data: st.DataObject
) -> None:
    assert run(plan, total, data) == run(plan, total, data)


@given(total=st.integers(1, MOST_FRAMES), pace=st.floats(0.5, 10), data=st.data())
def test_an_unseeded_ladder_depends_on_the_first_pace_alone(
    total: int, pace: float, data: st.DataObject
) -> None:
    plan = WindowPlan(first_hop=20, max_hop=200, left=50, right=10, seamless=False)
    ladders: list[list[Window]] = []
    for later_pace in (pace, data.draw(st.floats(0.5, 10))):
        schedule, windows = WindowSchedule(plan), []
        while not schedule.finished:
            windows.append(
                schedule.take(
                    min(total, schedule.frames_needed), ended=schedule.frames_needed >= total
                )
            )
            s_per_frame = 0.02 / (pace if len(windows) == 1 else later_pace)
            schedule.update(
                StreamProgress(total, s_per_frame, frame_s=0.02, lead_s=1, decode_s=0.01)
            )
        ladders.append(windows)
    assert ladders[0] == ladders[1]


@pytest.mark.parametrize(
    ("pace", "hops"),
    [
        (0.9, [20, 20, 20]),
        (1.49, [20, 20, 20]),
        (1.5, [20, 23, 26]),
        (2.19, [20, 23, 26]),
        (2.2, [20, 40, 80]),
    ],
)
def test_the_ladder_of_each_pace(pace: float, hops: list[int]) -> None:
    schedule, found = (
        WindowSchedule(WindowPlan(first_hop=20, max_hop=200, left=50, right=10, seamless=False)),
        [],
    )
    for _ in hops:
        window = schedule.take(schedule.frames_needed, ended=False)
        schedule.update(StreamProgress(0, 0.02 / pace - 1e-12, frame_s=0.02, lead_s=1, decode_s=0))
        found.append(window.end - window.begin)
    assert found == hops


LADDER = WindowPlan(first_hop=20, max_hop=200, left=50, right=10, seamless=False)


def under_load(plan: WindowPlan, available: Sequence[int]) -> list[int]:
    """Take windows under load from a slow engine, whose hops do not grow; return their hops."""
    schedule, hops = WindowSchedule(plan), []
    for frames in available:
        window = schedule.take(frames, ended=False, under_load=True)
        schedule.update(StreamProgress(frames, 0.02, frame_s=0.02, lead_s=1, decode_s=0.01))
        hops.append(window.end - window.begin)
    return hops


def test_a_ladder_takes_at_most_twice_as_much_as_before_while_others_wait() -> None:
    assert under_load(LADDER, [500] * 4) == [20, 40, 80, 160]
    assert under_load(replace(LADDER, max_hop=70), [500] * 4) == [20, 40, 70, 70]


def test_a_ladder_takes_no_more_than_has_arrived_and_never_waits_for_more() -> None:
    schedule = WindowSchedule(LADDER)
    hops: list[int] = []
    for more, loaded in ((0, True), (7, True), (0, False), (0, True)):
        window = schedule.take(schedule.frames_needed + more, ended=False, under_load=loaded)
        schedule.update(StreamProgress(0, 0.02, frame_s=0.02, lead_s=1, decode_s=0.01))
        hops.append(window.end - window.begin)
    assert hops == [20, 27, 20, 20]


def test_a_ladder_with_a_seed_is_the_same_while_others_wait() -> None:
    assert under_load(replace(LADDER, growth=1.0), [500] * 3) == [20, 20, 20]


def test_a_restarted_ladder_is_small_again_while_others_wait() -> None:
    schedule = WindowSchedule(LADDER)
    for _ in range(3):
        schedule.take(500, ended=False, under_load=True)
    schedule.restart()
    assert schedule.take(500, ended=False, under_load=True).end == 20 + 40 + 80 + 20


EXACT = WindowPlan(first_hop=20, max_hop=200, left=40, right=3, seamless=True)


def after_the_first(supply: StreamProgress) -> WindowSchedule:
    schedule = WindowSchedule(EXACT)
    schedule.take(supply.frames, ended=False)
    schedule.update(supply)
    return schedule


@given(plan=ANY_PLAN, arrived=st.integers(0, MOST_FRAMES), ended=st.booleans())
def test_the_first_window_is_the_plans_first_hop(
    plan: WindowPlan, arrived: int, ended: bool
) -> None:
    schedule = WindowSchedule(plan)
    available = schedule.frames_needed + arrived
    assert schedule.take(available, ended=ended) == Window(
        0, 0, plan.first_hop, plan.first_hop + plan.right, last=False
    )


def test_an_exact_codec_takes_all_that_has_arrived() -> None:
    schedule = after_the_first(
        StreamProgress(frames=23, s_per_frame=0.01, frame_s=0.02, lead_s=0.4, decode_s=0.001)
    )
    assert schedule.take(170, ended=False) == Window(0, 20, 167, 170, last=False)
    assert schedule.take(1_000, ended=False) == Window(127, 167, 367, 370, last=False)
    assert schedule.take(1_000, ended=True) == Window(327, 367, 567, 570, last=False)
    assert schedule.take(600, ended=True) == Window(527, 567, 600, 600, last=True)


def test_an_exact_codec_waits_for_as_much_as_the_listener_has_in_hand() -> None:
    supply = StreamProgress(
        frames=23, s_per_frame=0.008, frame_s=0.02, lead_s=0.396, decode_s=0.023
    )
    schedule = after_the_first(supply)
    # 1 ms to decode a frame: 43 frames of context leave 0.303 s for new ones at 1.25 x 8 ms + 1 ms
    # each.
    assert schedule.frames_needed == 20 + 27 + 3


def test_an_exact_codec_takes_no_more_than_can_be_decoded_in_time() -> None:
    supply = StreamProgress(frames=400, s_per_frame=0.001, frame_s=0.02, lead_s=0.4, decode_s=0.092)
    schedule = after_the_first(supply)
    # 4 ms a frame: 43 frames of context leave 0.178 s.
    assert schedule.frames_needed == 20 + 44 + 3
    assert schedule.take(400, ended=False).end == 20 + 44


def test_a_listener_who_has_run_dry_is_served_with_all_there_is() -> None:
    supply = StreamProgress(frames=100, s_per_frame=0.01, frame_s=0.02, lead_s=-0.1, decode_s=0.2)
    assert after_the_first(supply).frames_needed == 100
    assert after_the_first(supply).take(150, ended=False).end == 147
    assert after_the_first(replace(supply, frames=25)).frames_needed == 20 + 20 + 3


@pytest.mark.fault(60)
def test_an_exact_codec_takes_twice_as_much_as_before_at_most_while_others_wait() -> None:
    schedule = after_the_first(
        StreamProgress(frames=23, s_per_frame=0.001, frame_s=0.02, lead_s=0.4, decode_s=0.001)
    )
    assert schedule.take(400, ended=True, under_load=True) == Window(0, 20, 60, 63, last=False)
    assert schedule.take(400, ended=True, under_load=True) == Window(20, 60, 140, 143, last=False)
    assert schedule.take(400, ended=True) == Window(100, 140, 340, 343, last=False)


@pytest.mark.fault(60)
def test_a_first_window_is_no_smaller_while_others_wait() -> None:
    schedule = WindowSchedule(EXACT)
    assert schedule.take(400, ended=False, under_load=True) == WindowSchedule(EXACT).take(
        400, ended=False
    )


@pytest.mark.fault(60)
def test_a_client_that_would_run_dry_need_not_await_more_than_a_first_window() -> None:
    exact = after_the_first(
        StreamProgress(frames=23, s_per_frame=0.001, frame_s=0.02, lead_s=0.4, decode_s=0.001)
    )
    assert (exact.min_frames_needed, exact.frames_needed > exact.min_frames_needed) == (
        20 + 20 + 3,
        True,
    )
    schedule = WindowSchedule(replace(EXACT, seamless=False, growth=2.0))
    schedule.take(100, ended=False)
    schedule.update(
        StreamProgress(frames=100, s_per_frame=0.001, frame_s=0.02, lead_s=0.4, decode_s=0.001)
    )
    assert schedule.min_frames_needed == schedule.frames_needed == 20 + 40 + 3


@pytest.mark.parametrize("exact", [True, False])
def test_after_a_rest_the_windows_are_as_small_as_at_first(exact: bool) -> None:
    schedule = WindowSchedule(
        WindowPlan(first_hop=10, max_hop=100, left=5, right=2, seamless=exact, growth=2.0)
    )
    for _ in range(4):
        schedule.take(1_000, ended=False)
        schedule.update(
            StreamProgress(frames=1_000, s_per_frame=0.001, frame_s=0.02, lead_s=9, decode_s=0.001)
        )
    schedule.start()
    assert schedule.frames_needed > 50
    schedule.restart()
    assert schedule.frames_needed == 12
    assert schedule.take(1_000, ended=True).end == 10


def plan_of(
    first_window_s: float = 0.4, overlap_s: float = 0.2, *, left: int = 50, whole: bool = False
) -> WindowPlan:
    spec = window_spec(50, left, 1, 384, exact=False)
    return plan_windows(spec, first_window_s=first_window_s, overlap_s=overlap_s, whole=whole)


def test_seconds_become_frames() -> None:
    assert plan_of() == WindowPlan(first_hop=20, max_hop=324, left=50, right=10, seamless=False)
    assert plan_of(0.1, 0).first_hop == 5
    assert plan_of(0.4, 0).right == 1
    assert plan_of(0.4, 2) == WindowPlan(
        first_hop=20, max_hop=184, left=100, right=100, seamless=False
    )


def test_the_first_hop_is_clamped_to_the_largest_window_less_context() -> None:
    assert plan_of(10).first_hop == plan_of().max_hop == 324
    assert plan_of(10, 2).first_hop == 184
    assert plan_of(0.4, whole=True).first_hop == 324
    assert plan_of(0.001).first_hop == 1


@given(
    first_window_s=st.floats(0.1, 10),
    overlap_s=st.floats(0, 2),
    codec=st.sampled_from(
        [(50.0, 50, 1, 384), (50.0, 300, 1, 384), (11.71875, 3, 3, 32), (93.75, 40, 3, 512)]
    ),
)
def test_windows_of_every_codec_fit_and_keep_its_own_context(
    first_window_s: float, overlap_s: float, codec: tuple[float, int, int, int]
) -> None:
    _, left, right, max_window = codec
    spec = window_spec(*codec, exact=True)
    plan = plan_windows(spec, first_window_s=first_window_s, overlap_s=overlap_s)
    assert plan.left + plan.max_hop + plan.right == max_window
    assert plan.left >= left
    assert plan.right >= right
    assert 1 <= plan.first_hop <= plan.max_hop
    assert plan.max_hop >= min(max_window // 4, max_window - left - right)


@dataclass(frozen=True, slots=True)
class Decoder:
    """Cost of a call: a constant, and a share of its frames' audio."""

    call_s: float
    share: float

    def cost_s(self, window: Window, frame_s: float) -> float:
        return self.call_s + self.share * (window.stop - window.start) * frame_s


GPU = Decoder(call_s=0.005, share=0.0005)
CPU = Decoder(call_s=0.005, share=0.08)


def underruns(
    plan: WindowPlan, *, pace: float, frames_per_s: float, decoder: Decoder, seconds: float = 30
) -> int:
    """Windows after the first that come too late for a listener who began at the first."""
    frame_s, total = 1 / frames_per_s, round(seconds * frames_per_s)
    s_per_frame = frame_s / pace
    schedule, now_s, heard_until_s, late = WindowSchedule(plan), 0.0, 0.0, 0
    while not schedule.finished:
        now_s = max(now_s, min(schedule.frames_needed, total) * s_per_frame)
        asked_s = now_s
        available = min(total, int(now_s / s_per_frame + 1e-6))
        window = schedule.take(available, ended=available == total)
        now_s += decoder.cost_s(window, frame_s)
        late += window.begin > 0 and now_s > heard_until_s
        heard_until_s = (heard_until_s if window.begin else now_s) + (
            window.end - window.begin
        ) * frame_s
        arrived = min(total, int(now_s / s_per_frame + 1e-6))
        schedule.update(
            StreamProgress(arrived, s_per_frame, frame_s, heard_until_s - now_s, now_s - asked_s)
        )
    return late


@pytest.mark.parametrize("pace", [1.1, 1.5, 1.54, 1.6, 2.2, 2.5, 8.0])
@pytest.mark.parametrize("decoder", [GPU, CPU], ids=["gpu", "cpu"])
@pytest.mark.parametrize("first_window_s", [0.25, 0.4, 1.0])
def test_a_ladder_does_not_let_the_listener_run_dry(
    pace: float, decoder: Decoder, first_window_s: float
) -> None:
    left = 150 if decoder is GPU else 50
    assert (
        underruns(plan_of(first_window_s, left=left), pace=pace, frames_per_s=50, decoder=decoder)
        == 0
    )


@pytest.mark.parametrize("pace", [1.1, 1.6, 2.5, 8.0])
@pytest.mark.parametrize("decoder", [GPU, CPU], ids=["gpu", "cpu"])
@pytest.mark.parametrize(
    "codec", [(11.71875, 3, 3, 32), (50.0, 40, 3, 512)], ids=["snac", "builtin"]
)
@pytest.mark.parametrize("first_window_s", [0.25, 0.4, 1.0])
def test_an_exact_codecs_windows_do_not_let_the_listener_run_dry(
    pace: float, decoder: Decoder, codec: tuple[float, int, int, int], first_window_s: float
) -> None:
    spec = window_spec(*codec, exact=True)
    plan = plan_windows(spec, first_window_s=first_window_s, overlap_s=0.2)
    assert underruns(plan, pace=pace, frames_per_s=spec.frames_per_s, decoder=decoder) == 0


def test_one_doubling_ladder_for_every_pace_would_run_dry() -> None:
    assert underruns(replace(plan_of(), growth=2.0), pace=1.54, frames_per_s=50, decoder=GPU) > 0
    assert underruns(plan_of(), pace=1.54, frames_per_s=50, decoder=GPU) == 0


def test_windows_become_long_where_there_is_time() -> None:
    plan = plan_of()
    ladders = {pace: hops_at(plan, pace) for pace in (1.1, 1.6, 2.5)}
    assert ladders[1.1][-1] == 20
    assert ladders[1.6][-1] > 60
    assert ladders[2.5][-1] > 150


def hops_at(plan: WindowPlan, pace: float) -> list[int]:
    schedule, ends = WindowSchedule(plan), [0]
    while ends[-1] < 600:
        ends.append(schedule.take(schedule.frames_needed, ended=False).end)
        schedule.update(StreamProgress(0, 0.02 / pace, frame_s=0.02, lead_s=1, decode_s=0.01))
    return [after - before for before, after in itertools.pairwise(ends)]
