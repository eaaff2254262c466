"""What a part of the text begins with: the last codes of the part before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.codec import CodeWindow
from app.speaker import Before
from app.speech.codes import CodeArray, FrameLayout
from app.speech.windows import Window, WindowPlan, WindowSchedule

LAYOUT = FrameLayout(first=0, slots=1, vocabulary=10_000)
LEFT, RIGHT = 5, 2
PLAN = WindowPlan(first_hop=3, max_hop=8, left=LEFT, right=RIGHT, exact=True)


def codes_of(numbers: range) -> CodeArray:
    codes = CodeArray(LAYOUT, 1_000)
    codes.feed(list(numbers))
    codes.finish()
    return codes


def windows_of(before: Before, codes: CodeArray) -> list[CodeWindow]:
    schedule, found = WindowSchedule(PLAN), list[CodeWindow]()
    while not schedule.finished:
        window = schedule.take(codes.frames, ended=True)
        found.append(before.window(codes, window))
    before.keep(codes)
    return found


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_parts_are_decoded_as_one_run_of_codes(lengths: list[int]) -> None:
    """Each window's codes are those of the whole text at its place; its context reaches into the parts before."""
    before, place = Before(LEFT, 1), 0
    for length in lengths:
        windows = windows_of(before, codes_of(range(place, place + length)))
        for window in windows:
            stop = window.first_frame + len(window.codes)
            assert window.codes[:, 0].tolist() == list(range(window.first_frame, stop))
            assert window.context_frames == min(LEFT, window.first_frame + window.context_frames)
        assert windows[0].first_frame + windows[0].context_frames == place
        place += length
        assert windows[-1].first_frame + len(windows[-1].codes) == place


def test_a_pause_is_a_place_without_codes() -> None:
    before = Before(LEFT, 1)
    before.keep(codes_of(range(10)))
    before.forget(25)
    window = before.window(codes_of(range(4)), Window(0, 0, 4, 4, last=True))
    assert (window.first_frame, window.context_frames) == (35, 0)


def test_a_window_with_enough_context_of_its_own_gets_no_more() -> None:
    before = Before(LEFT, 1)
    before.keep(codes_of(range(100, 110)))
    window = before.window(codes_of(range(20)), Window(3, 8, 12, 14, last=False))
    assert window.codes[:, 0].tolist() == list(range(3, 14))
    assert (window.first_frame, window.context_frames) == (13, 5)
