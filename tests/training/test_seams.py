from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from app.audio.samples import Samples
from app.codec import CodeWindow
from app.codec.spec import CodecSpec
from training.seams import PACES, agreement_db, compare, streamed

pytestmark = pytest.mark.process

SPEC = CodecSpec(
    name="mean",
    sample_rate_hz=100,
    samples_per_frame=2,
    codes_per_frame=1,
    vocabulary=100,
    left_context_frames=3,
    right_context_frames=1,
    seamless=True,
    max_window_frames=24,
)


class MeanCodec:
    """A sample is the mean of its frame's code, `reach` before and one after."""

    spec = SPEC

    def __init__(self, reach: int) -> None:
        self._reach = reach
        self.windows: list[int] = []

    def decode(self, windows: Sequence[CodeWindow]) -> list[Samples]:
        """Two equal samples a frame."""
        self.windows += [len(window.codes) for window in windows]
        return [self._sound(window.codes[:, 0])[2 * window.context_frames :] for window in windows]

    def _sound(self, codes: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Samples:
        padded = np.pad(codes, (self._reach, 1))
        means = np.lib.stride_tricks.sliding_window_view(padded, self._reach + 2).mean(1)
        return np.repeat(means, 2).astype(np.float32)


def spoken(frames: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    return np.random.default_rng(0).integers(0, 100, (frames, 1), np.int32)


def test_windows_cover_everything_whatever_the_pace() -> None:
    codes = spoken(120)
    (whole,) = MeanCodec(3).decode([CodeWindow(codes)])
    for pace in PACES:
        codec = MeanCodec(3)
        assert np.allclose(streamed(codec, codes, pace), whole)
        assert len(codec.windows) > 4
        assert max(codec.windows) <= SPEC.max_window_frames


def test_a_codec_that_reaches_further_than_it_says_is_found() -> None:
    codes = [spoken(120), spoken(60)]
    right, wrong = compare(MeanCodec(3), codes), compare(MeanCodec(5), codes)
    assert right["streams"] == wrong["streams"] == 2 * len(PACES)
    assert right["db_min"] > 120
    assert wrong["db_min"] < 60


def test_agreement_is_the_power_over_that_of_the_difference() -> None:
    wanted = np.ones(100, np.float32)
    assert abs(agreement_db(wanted * np.float32(1.1), wanted) - 20) < 0.01
    assert agreement_db(wanted, wanted) == 200
