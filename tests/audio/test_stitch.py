"""Windows joined: every sample once, and no step that the signal does not have."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.samples import Samples
from app.audio.stitch import FADE_S, Stitcher, raised_cosine
from app.tokens.windows import Window, WindowSchedule, plan_windows
from tests.fakes import window_spec

RATE_HZ = 24_000
FRAME_SAMPLES = 480
FADE_SAMPLES = round(FADE_S * RATE_HZ)
SINE_HZ = 200
SINE_STEP = (
    2 * np.pi * SINE_HZ / RATE_HZ
)  # the largest step between two samples of a sine of amplitude 1


def windows_over(total: int, *, first_hop: int, left: int, right: int) -> list[Window]:
    spec = window_spec(50, left, right, first_hop * 4 + left + right, exact=False)
    plan = plan_windows(spec, first_window_s=first_hop / 50, overlap_s=0)
    schedule = WindowSchedule(plan)
    windows: list[Window] = []
    while not schedule.finished:
        available = min(total, schedule.frames_needed)
        windows.append(schedule.take(available, ended=available == total))
    return windows


@given(
    total=st.integers(1, 120),
    first_hop=st.integers(1, 40),
    left=st.integers(0, 30),
    right=st.integers(1, 12),
    fade_samples=st.integers(0, 700),
    frame_samples=st.sampled_from([1, 7, 480]),
)
def test_an_identity_codec_gives_the_signal_back_exactly(  # noqa: PLR0917
    total: int, first_hop: int, left: int, right: int, fade_samples: int, frame_samples: int
) -> None:
    signal = np.random.default_rng(total).standard_normal(total * frame_samples).astype(np.float32)
    stitcher = Stitcher(frame_samples, fade_samples)
    parts = [
        stitcher.feed(window, signal[window.begin * frame_samples : window.stop * frame_samples])
        for window in windows_over(total, first_hop=first_hop, left=left, right=right)
    ]
    assert np.array_equal(np.concatenate(parts), signal)


def drifting_sine(
    windows: list[Window], fade_samples: int, *, frame_samples: int = FRAME_SAMPLES
) -> Samples:
    """A codec whose gain and phase differ a little from window to window, stitched."""
    stitcher = Stitcher(frame_samples, fade_samples)
    parts: list[Samples] = []
    for index, window in enumerate(windows):
        at = np.arange(window.begin * frame_samples, window.stop * frame_samples) * SINE_STEP
        gain, phase = (1.0, 0.9, 0.95)[index % 3], (0.0, 0.25, -0.2)[index % 3]
        parts.append(stitcher.feed(window, (gain * np.sin(at + phase)).astype(np.float32)))
    return np.concatenate(parts)


def largest_step(samples: Samples) -> float:
    return float(np.abs(np.diff(samples)).max())


@pytest.mark.parametrize(
    ("first_hop", "left", "right"), [(20, 50, 10), (5, 50, 1), (7, 0, 1), (1, 3, 2)]
)
def test_no_step_at_a_seam_is_larger_than_the_sines_own(
    first_hop: int, left: int, right: int
) -> None:
    windows = windows_over(301, first_hop=first_hop, left=left, right=right)
    assert len(windows) > 5
    stitched = drifting_sine(windows, FADE_SAMPLES)
    assert largest_step(stitched) <= 1.5 * SINE_STEP
    assert len(stitched) == 301 * FRAME_SAMPLES


def test_a_hard_cut_fails_the_same_test() -> None:
    stitched = drifting_sine(windows_over(301, first_hop=20, left=50, right=10), 0)
    assert largest_step(stitched) > 3 * SINE_STEP
    assert len(stitched) == 301 * FRAME_SAMPLES


def test_a_blend_that_is_cut_short_still_ends_at_the_new_window() -> None:
    # Look-ahead of 120 samples under a fade of 288.
    windows = windows_over(200, first_hop=20, left=50, right=1)
    assert largest_step(drifting_sine(windows, FADE_SAMPLES, frame_samples=120)) <= 1.5 * SINE_STEP


def test_the_decoded_windows_are_not_written_to() -> None:
    decoded = [np.ones(30 * FRAME_SAMPLES, np.float32), np.zeros(30 * FRAME_SAMPLES, np.float32)]
    stitcher = Stitcher(FRAME_SAMPLES, FADE_SAMPLES)
    stitcher.feed(Window(0, 0, 20, 30, last=False), decoded[0])
    blended = stitcher.feed(Window(10, 20, 40, 40, last=True), decoded[1])
    assert decoded[1].max() == 0
    assert 0 < blended.max() < 1


@given(count=st.integers(1, 2_000))
def test_the_rise_is_monotonic_symmetric_and_within_0_and_1(count: int) -> None:
    rising = raised_cosine(count)
    assert rising.dtype == np.float32
    assert all(low <= high for low, high in itertools.pairwise(rising.tolist()))
    assert np.allclose(rising + rising[::-1], 1, atol=1e-6)
    assert 0 <= rising[0] <= rising[-1] <= 1
