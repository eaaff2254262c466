"""The fade-in: 10 ms of a raised cosine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audio.fade import FadeIn, FadeOut


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 48_000])
def test_the_first_10_ms_are_a_raised_cosine_and_the_rest_is_as_it_was(rate_hz: int) -> None:
    faded = FadeIn(rate_hz).feed(np.ones(rate_hz, np.float32))
    count = rate_hz // 100
    middle_of_each = (np.arange(count) + 0.5) / count
    assert np.allclose(faded[:count], 0.5 - 0.5 * np.cos(np.pi * middle_of_each), atol=1e-6)
    assert (faded[count:] == 1).all()
    assert faded[0] < 1e-3
    assert np.abs(np.diff(faded)).max() < 1.7 / count  # a raised cosine's steepest slope is pi / 2


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_chunks_cannot_be_heard(sizes: list[int]) -> None:
    signal = np.random.default_rng(1).standard_normal(sum(sizes)).astype(np.float32)
    fade, ends = FadeIn(24_000), np.cumsum(sizes)
    parts = [fade.feed(signal[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    assert np.array_equal(np.concatenate(parts), FadeIn(24_000).feed(signal))


def test_the_callers_samples_are_not_written_to() -> None:
    samples = np.ones(500, np.float32)
    FadeIn(24_000).feed(samples)
    assert (samples == 1).all()


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_the_last_10_ms_fade_out_however_the_signal_is_chunked(sizes: list[int]) -> None:
    total = sum(sizes)
    fade = FadeOut(24_000)
    parts = [fade.feed(np.ones(size, np.float32)) for size in sizes]
    faded = np.concatenate([*parts, fade.finish()])
    assert len(faded) == total
    assert (faded[: max(0, total - 240)] == 1).all()
    if total:
        assert faded[-1] < 1 / min(total, 240)
        assert (np.diff(faded) <= 0).all()
