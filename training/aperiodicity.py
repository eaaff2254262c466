"""Share of noise in each band, of the teacher's speech and of the decoder's envelopes.

A spectral distance alone prefers pulses to noise: a random noise never matches the target exactly,
so an "s" becomes a buzz. The decoder is therefore also trained on the aperiodicity of each band, as
in WORLD (Morise et al. 2016, doi:10.1587/transinf.2015EDP7457). The teacher synthesises pulses and
noise separately, so its aperiodicity is known.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from app.codec.builtin.pulses import LOUDNESS
from training.networks.codec_decoder import BANDS as POINTS
from training.networks.codec_decoder import Envelopes, band_interpolation

BANDS = 20  # equal widths on the mel scale; each has four points of the decoder's envelopes
POINTS_PER_BAND = POINTS // BANDS
WHOLE = 255  # byte on disk for a share of 1
# Logarithm of the power density of pulses over that of noise, through flat envelopes. Pulses have
# LOUDNESS² / 2 per Hz, and noise of unit power has 1 / 12,000.
PULSES_OVER_NOISE = math.log(LOUDNESS**2 / 2 * 12_000)


@cache
def band_weights(bins: int) -> NDArray[np.float32]:
    """Return the weight of each bin (0 Hz to 12 kHz) in each band: (20, bins)."""
    return band_interpolation(bins).numpy().reshape(BANDS, POINTS_PER_BAND, bins).sum(1)


def aperiodicity(periodic: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the share of `other` in each band (frames, 20), in 255ths.

    `periodic`, `other`: power spectra (bins, frames).
    """
    weights = band_weights(len(periodic))
    share = (weights @ other) / np.maximum(weights @ (periodic + other), np.finfo(np.float32).tiny)
    return np.round(WHOLE * share.clip(0, 1)).astype(np.uint8).T


def noise_log_odds(envelopes: Envelopes) -> Tensor:
    """Return the log odds of noise in each band of the decoder's envelopes: (batch, steps, 20)."""
    odds = 2 * (envelopes.noise - envelopes.harmonic) - PULSES_OVER_NOISE
    return functional.avg_pool1d(odds, POINTS_PER_BAND)


def aperiodicity_distance(envelopes: Envelopes, share: Tensor, pitch_hz: Tensor) -> Tensor:
    """Return the mean cross-entropy of the noise's share over the bands of voiced steps.

    `envelopes`: the decoder's envelopes. `share`: target (batch, steps, 20). `pitch_hz`:
    (batch, steps), 0 if unvoiced.
    """
    entropies = functional.binary_cross_entropy_with_logits(
        noise_log_odds(envelopes), share, reduction="none"
    )
    entropy = entropies.mean(-1)
    voiced = pitch_hz > 0
    return (entropy * voiced).sum() / voiced.sum().clamp_min(1)


def bytes_to_shares(stored: NDArray[np.uint8]) -> Tensor:
    """Convert bytes on disk to shares from 0 to 1."""
    return torch.as_tensor(stored.astype(np.float32) / WHOLE)
