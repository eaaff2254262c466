"""Decoding of a batch by a `BatchDecoder`, and the distance between its rows and others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from app.codec.batch_decoder import BatchDecoder
from tests.audio_checks import snr_db

LAST_SAMPLES = 480


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows without padding, and their peaks."""

    rows: list[Tensor]
    peaks: Tensor


@torch.inference_mode()
def decode(
    decoder: BatchDecoder,
    codes: Tensor,
    lengths: Sequence[int],
    samples_per_frame: int,
    first_frames: Sequence[int] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> Decoded:
    """Decode codes (rows, frames, codes_per_frame) to samples of a type."""
    samples = torch.empty(len(codes), codes.shape[1] * samples_per_frame, dtype=dtype)
    peaks = torch.full((len(codes),), 9.0)
    first = torch.tensor(first_frames or [0] * len(codes))
    decoder(codes, first, torch.tensor(lengths), samples, peaks)
    rows = [row[: frames * samples_per_frame] for row, frames in zip(samples, lengths, strict=True)]
    return Decoded(rows, peaks)


def least_db(expected: list[Tensor], actual: list[Tensor]) -> float:
    """Return the least signal-to-error ratio of all rows, and of their last 20 ms."""
    pairs = list(zip(expected, actual, strict=True))
    pairs += [(e[-LAST_SAMPLES:], a[-LAST_SAMPLES:]) for e, a in pairs]
    return min(snr_db(e.numpy(), a.numpy()) for e, a in pairs)
