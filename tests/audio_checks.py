"""Decoding of an answer with ffmpeg, and the distance between two signals."""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32] | NDArray[np.float64]


def decoded(data: bytes, rate_hz: int, container: str | None = None) -> NDArray[np.float64]:
    """Return samples at a rate; `container` if the bytes do not name their format and rate."""
    told = {"sample_rate": str(rate_hz)} if container else None
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    with av.open(io.BytesIO(data), format=container, options=told) as file:
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]) / 32768


def snr_db(expected: Sound, actual: Sound) -> float:
    """Return the power of the expected signal over that of the difference."""
    assert expected.shape == actual.shape
    error = float(np.square(expected.astype(np.float64) - actual).sum())
    return 10 * np.log10(float(np.square(expected, dtype=np.float64).sum()) / max(error, 1e-30))
