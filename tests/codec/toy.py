"""A codec as a contributor would add it: this module and a row of the registry."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from app.codec import Report
from app.codec.eager import EagerCodec
from app.codec.load import CodecOptions
from app.codec.registry import CodecInfo
from app.codec.spec import CodecSpec

ROW = CodecInfo(
    loader="tests.codec.toy:load", vocabulary=256, cpu_batch_frames=64, cpu_overhead_frames=4
)
SPEC = CodecSpec(
    name="toy",
    sample_rate_hz=16_000,
    samples_per_frame=320,
    codes_per_frame=1,
    vocabulary=256,
    left_context_frames=0,
    right_context_frames=0,
    seamless=True,
    max_window_frames=64,
)
TONE = (2 * math.pi * torch.arange(SPEC.samples_per_frame) / 80).sin()  # 200 Hz


def load(options: CodecOptions, device: str, dtype: torch.dtype, report: Report) -> EagerCodec:
    """Load a codec in which each code is the loudness of a tone."""

    def network(codes: Tensor, first_frames: Tensor, frames: Tensor | None) -> Tensor:
        return (codes / SPEC.vocabulary * TONE).flatten(1)

    return EagerCodec(SPEC, network, device)
