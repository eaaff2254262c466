"""Overlap-add: sums equally spaced frames of a signal."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def overlap_add(waves: Tensor, hop: int) -> Tensor:
    """(batch, frames, width) to (batch, frames x hop); `width` a multiple of `hop`.

    Frame i is centred on sample hop x i + hop / 2, so (width - hop) / 2 samples are cut off at both
    ends. One sum over a strided view in which the overlapping parts of all frames are adjacent.
    """
    batch, frames, width = waves.shape
    parts = width // hop
    padded = functional.pad(waves, (0, 0, parts - 1, parts - 1))
    # Part h of frame t - h is added to hop t. With h' = parts - 1 - h its samples begin at
    # t x width + h' x (width - hop).
    shape = (batch, frames + parts - 1, parts, hop)
    strides = (padded.stride(0), width, width - hop, 1)
    total = padded.as_strided(shape, strides, (parts - 1) * hop).sum(2).flatten(1)
    cut = (width - hop) // 2
    return total[:, cut : cut + frames * hop]
