# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
"""Decoding of a padded batch to samples as they leave the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx.experimental import _config as symbolic_shapes

from app.codec.eager import Network

# Float value of int16 full scale. Loud speech peaks at 1.2; the limiter comes later, and int16 must
# not clip before it.
FULL_SCALE = 2.0
INT16_STEPS = 32_767 / FULL_SCALE

# Arguments: codes (rows, frames, codes_per_frame), int32; position of each row in its stream
# (rows,), int64; length of each row in frames (rows,), int64. Then the results, which are
# overwritten: samples (rows, samples), int16 or float32; peaks (rows,), float32, the largest
# magnitude of each row, NaN or infinite if a sample is (the padding may count or not).
BatchDecoder = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], None]


def network_decoder(network: Network, *, compiled: bool = False) -> BatchDecoder:
    """Build a decoder of a network and torch's own operations.

    `compiled`: use torch.compile, with dynamic shapes.
    """
    if compiled:
        # By default torch takes sizes that are equal in the first call for equal in all calls, and
        # compiles again when they are not.
        symbolic_shapes.use_duck_shape = False
        network = torch.compile(network, dynamic=True)

    def decode(
        codes: Tensor, first_frames: Tensor, lengths: Tensor, samples: Tensor, peaks: Tensor
    ) -> None:
        sound = network(codes, first_frames, lengths)
        peaks.copy_(sound.abs().amax(1))
        if samples.dtype == torch.int16:
            sound = (sound * INT16_STEPS).round_().clamp_(-32_768, 32_767)
        samples.copy_(sound)

    return decode
