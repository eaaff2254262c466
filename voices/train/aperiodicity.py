"""How much of each band is noise: in the teacher's speech, and in what the decoder's envelopes would make.

A spectral distance alone would rather have pulses than noise, which scatters and so is never quite right:
it makes an s of a buzz. So the decoder is told each band's aperiodicity, as in WORLD (Morise et al. 2016,
doi:10.1587/transinf.2015EDP7457), which this teacher's parts show.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from app.codec.pulses import LOUDNESS
from app.codec.source_filter import BANDS as POINTS
from app.codec.source_filter import Levels, band_interpolation

BANDS = 20  # even on the mel scale, each of four points of the decoder's envelopes
POINTS_PER_BAND = POINTS // BANDS
WHOLE = 255  # of the bytes on disk
# Pulses through a flat envelope have so much more power at each frequency than noise: LOUDNESS² / 2 a Hz
# where noise of unit power has 1 / 12,000.
PULSES_OVER_NOISE = math.log(LOUDNESS**2 / 2 * 12_000)


@cache
def band_weights(bins: int) -> NDArray[np.float32]:
    """(20, bins): what each bin between 0 Hz and 12 kHz gives to each band."""
    return band_interpolation(bins).numpy().reshape(BANDS, POINTS_PER_BAND, bins).sum(1)


def aperiodicity(periodic: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Power of two parts (bins, frames) -> the other's share of each band (frames, 20), in 255ths."""
    weights = band_weights(len(periodic))
    share = (weights @ other) / np.maximum(weights @ (periodic + other), np.finfo(np.float32).tiny)
    return np.round(WHOLE * share.clip(0, 1)).astype(np.uint8).T


def odds_of(levels: Levels) -> Tensor:
    """What the decoder's envelopes make of it: the logarithm of noise's odds in each band, (batch, steps, 20)."""
    return functional.avg_pool1d(
        2 * (levels.breath - levels.harmonic) - PULSES_OVER_NOISE, POINTS_PER_BAND
    )


def aperiodicity_distance(levels: Levels, share: Tensor, pitch_hz: Tensor) -> Tensor:
    """Cross-entropy of the noise's share of the voiced steps' bands.

    The decoder's envelopes, the share that is right (batch, steps, 20), and the pitch, 0 where unvoiced (batch, steps).
    """
    entropy = functional.binary_cross_entropy_with_logits(
        odds_of(levels), share, reduction="none"
    ).mean(-1)
    voiced = pitch_hz > 0
    return (entropy * voiced).sum() / voiced.sum().clamp_min(1)


def shares_of(stored: NDArray[np.uint8]) -> Tensor:
    """Bytes as they are on disk -> shares of 0 to 1."""
    return torch.as_tensor(stored.astype(np.float32) / WHOLE)
